#include <netdb.h>
// Functions in place of the macros of <resolv.h>, which Swift cannot import.
#ifndef PETREL_RESOLVER_H
#define PETREL_RESOLVER_H
#include <netinet/in.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <resolv.h>
#include <string.h>

typedef struct {
    unsigned short priority, weight, port;
    char target[NS_MAXDNAME];
} petrel_service;

// Looks up the SRV records of a name (RFC 2782) with the system's name server or, if `port` is not 0, with a name server
// on loopback. Returns the number of records, 0 if none exist, and -1 if there is no answer.
static inline int petrel_find_services(const char *name, unsigned short port, petrel_service *found, int most) {
    struct __res_state state;
    memset(&state, 0, sizeof state);
    if (res_ninit(&state) != 0) return -1;
    if (port != 0) {
        state.nscount = 1;
        memset(&state.nsaddr_list[0], 0, sizeof state.nsaddr_list[0]);
        state.nsaddr_list[0].sin_family = AF_INET;
        state.nsaddr_list[0].sin_port = htons(port);
        state.nsaddr_list[0].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    unsigned char answer[65535];
    int size = res_nquery(&state, name, ns_c_in, ns_t_srv, answer, sizeof answer);
    int error = state.res_h_errno;
    res_nclose(&state);
    if (size < 0) return error == HOST_NOT_FOUND || error == NO_DATA ? 0 : -1;
    if (size > (int)sizeof answer) size = sizeof answer;
    ns_msg message;
    if (ns_initparse(answer, size, &message) != 0) return -1;
    int count = 0;
    for (int index = 0; index < ns_msg_count(message, ns_s_an) && count < most; index++) {
        ns_rr record;
        if (ns_parserr(&message, ns_s_an, index, &record) != 0) return -1;
        if (ns_rr_type(record) != ns_t_srv || ns_rr_rdlen(record) < 7) continue;
        const unsigned char *data = ns_rr_rdata(record);
        petrel_service *service = &found[count];
        service->priority = ns_get16(data);
        service->weight = ns_get16(data + 2);
        service->port = ns_get16(data + 4);
        if (ns_name_uncompress(ns_msg_base(message), ns_msg_end(message), data + 6, service->target,
                               sizeof service->target) < 0) return -1;
        count++;
    }
    return count;
}
#endif
