#ifndef PETREL_BUILD_INFO_H
#define PETREL_BUILD_INFO_H

/// Returns the commit that the program was built from, or an empty text.
const char *petrel_commit(void);

#endif
