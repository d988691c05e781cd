/* SPDX-License-Identifier: MIT */
/* tools/lib/console_client.c by hand and for scripts: console_tool attach|log|follow GUEST [SOCKET]
 */
#include "lib/console_client.h"
#include "lib/error.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct console_options o;
    struct error e = { 0 };
    enum console_result result;

    if (argc < 3) {
        fputs("Usage: console_tool attach|log|follow GUEST [SOCKET]\n", stderr);
        return 2;
    }
    console_options_default(&o);
    if (argc > 3)
        o.socket = argv[3];
    if (strcmp(argv[1], "attach") == 0)
        result = console_attach(argv[2], &o, &e);
    else
        result = console_log(argv[2], strcmp(argv[1], "follow") == 0, &o, &e);
    if (result == CONSOLE_FAILED)
        error_print(&e, argv[2]);
    else
        fprintf(stderr, "\n[%s]\n", result == CONSOLE_ENDED ? "end" : "detached");
    return result == CONSOLE_FAILED;
}
