/* SPDX-License-Identifier: MIT */
#include "machine/keys.h"

/* From space on, without DEL, which is no character. */
#define FIRST ' '

static const char *const keys[] = {
    "spc", "shift-1", "shift-apostrophe", "shift-3", "shift-4", "shift-5", "shift-7", /*  !"#$%& */
    "apostrophe", "shift-9", "shift-0", "shift-8", "shift-equal",                     /* '()*+ */
    "comma", "minus", "dot", "slash",                                                 /* ,-./ */
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9",                                 /* 0-9 */
    "shift-semicolon", "semicolon", "shift-comma", "equal", "shift-dot",              /* :;<=> */
    "shift-slash", "shift-2",                                                         /* ?@ */
    "shift-a", "shift-b", "shift-c", "shift-d", "shift-e", "shift-f", "shift-g",      /* A-G */
    "shift-h", "shift-i", "shift-j", "shift-k", "shift-l", "shift-m", "shift-n",      /* H-N */
    "shift-o", "shift-p", "shift-q", "shift-r", "shift-s", "shift-t", "shift-u",      /* O-U */
    "shift-v", "shift-w", "shift-x", "shift-y", "shift-z",                            /* V-Z */
    "bracket_left", "backslash", "bracket_right", "shift-6", "shift-minus",           /* [\]^_ */
    "grave_accent",                                                                   /* ` */
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m",                  /* a-m */
    "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z",                  /* n-z */
    "shift-bracket_left", "shift-backslash", "shift-bracket_right",                   /* {|} */
    "shift-grave_accent",                                                             /* ~ */
};

const char *sp_key_of(gunichar character)
{
    switch (character) {
    case '\n':
    case '\r':
        return "ret";
    case '\t':
        return "tab";
    case '\b':
    case 0x7f:
        return "backspace";
    case 0x1b:
        return "esc";
    default:
        return character >= FIRST && character - FIRST < G_N_ELEMENTS(keys)
                   ? keys[character - FIRST]
                   : NULL;
    }
}
