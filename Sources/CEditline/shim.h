#ifndef PETREL_EDITLINE_H
#define PETREL_EDITLINE_H
#include <stdio.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <editline/readline.h>

/* libedit's settings are global variables, which Swift cannot touch safely; all are set once, before the first line. */
static inline void editline_set_up(char *(*generator)(const char *, int), rl_completion_func_t *complete) {
    /* Without a UTF-8 locale, libedit drops all bytes that are not ASCII. */
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
    rl_readline_name = "petrel";
    rl_basic_word_break_characters = "\n";
    rl_completer_word_break_characters = "\n";
    rl_completion_entry_function = generator;
    rl_attempted_completion_function = complete;
    rl_completion_append_character = '\0';
    using_history();
    stifle_history(1000);
}

/* Returns the position of the cursor in the typed line. */
static inline int editline_cursor(void) { return rl_point; }

/* Completes without falling back to file names. */
static inline char **editline_matches(const char *text, char *(*generator)(const char *, int)) {
    rl_attempted_completion_over = 1;
    return rl_completion_matches(text, generator);
}
#endif
