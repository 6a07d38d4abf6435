#include "CBuildInfo.h"

const char *petrel_commit(void) { return PETREL_COMMIT; }
