/* SPDX-License-Identifier: MIT */
/*
 * The grammar of xl.cfg files: NAME = VALUE, one a line or with `;` between; values are numbers,
 * strings in either quotes, and lists of values. A line with an error is skipped.
 */
%code requires {
#include "tools/cli/config_value.h"
}
%code {
#include "tools/cli/config.h"
#include <stdlib.h>

int cfg_lex(CFG_STYPE *value, void *scanner);
void cfg_error(void *scanner, struct config_settings *s, const char *message);

#define yylex cfg_lex
}
%code provides {
int cfg_parse(void *scanner, struct config_settings *s);
}
%define api.pure full
%define api.prefix {cfg_}
%define parse.error custom
%lex-param {void *scanner}
%parse-param {void *scanner} {struct config_settings *s}
%union {
    struct config_word name;
    struct config_value *value;
}
%token END 0 "the end of the file"
%token WORD_LINE_END "the end of the line" WORD_EQUALS "'='" WORD_COMMA "','" WORD_OPEN "'['" WORD_CLOSE "']'"
%token <name> WORD_NAME "a bare word"
%token <value> WORD_NUMBER "a number" WORD_STRING "a string"
%token WORD_BAD "a wrong word"
%type <value> value list elements
%destructor { free($$.text); } <name>
%%
file: %empty
    | file line
    ;
line: WORD_LINE_END              { s->told = false; }
    | setting WORD_LINE_END      { s->told = false; }
    | error WORD_LINE_END        { s->told = false; s->depth = 0; yyerrok; }
    ;
setting: WORD_NAME WORD_EQUALS value {
        config_settings_add(s, $1.text, $1.line, $3);
    }
    ;
value: WORD_NUMBER
    | WORD_STRING
    | list
    ;
list: open WORD_CLOSE              { $$ = config_value_new(s, VALUE_LIST, s->line); s->depth--; }
    | open elements WORD_CLOSE     { $$ = $2; s->depth--; }
    | open elements WORD_COMMA WORD_CLOSE { $$ = $2; s->depth--; }
    ;
open: WORD_OPEN {
        if (!s->depth)
            s->list_line = s->line;
        if (++s->depth > CONFIG_MAX_DEPTH) {
            config_syntax_error(s, s->line, "lists are nested too deeply");
            s->told = true;
            YYERROR;
        }
    }
    ;
elements: value {
        $$ = config_value_new(s, VALUE_LIST, $1->line);
        config_value_append($$, $1);
    }
    | elements WORD_COMMA value { config_value_append($1, $3); $$ = $1; }
    ;
%%

void cfg_error(void *scanner, struct config_settings *s, const char *message)
{
    if (!s->told)
        config_syntax_error(s, s->line, "%s", message);
    s->told = true;
}

/* What may come next, in the words of a reader. */
static const char in_a_list[] = "',' or ']'";

static const char *expected(const yypcontext_t *context)
{
    yysymbol_kind_t kinds[YYNTOKENS];
    int n = yypcontext_expected_tokens(context, kinds, YYNTOKENS);
    const char *answer = "the end of the line or ';'";

    for (int i = 0; i < n; i++) {
        switch (kinds[i]) {
        case YYSYMBOL_WORD_EQUALS:
            return "'='";
        case YYSYMBOL_WORD_NAME:
            return "KEY = VALUE";
        case YYSYMBOL_WORD_STRING:
            return "a number, a string in quotes or a [list]";
        case YYSYMBOL_WORD_COMMA:
            answer = in_a_list;
            break;
        default:
            break;
        }
    }
    return answer;
}

static int yyreport_syntax_error(const yypcontext_t *context, void *scanner,
                                 struct config_settings *s)
{
    yysymbol_kind_t kind = yypcontext_token(context);
    const char *found = kind >= 0 ? yysymbol_name(kind) : "something";
    const char *wanted = expected(context);

    s->depth = 0; /* so that the end of this line is seen again */
    if (s->told)
        return 0;
    s->told = true;
    if (wanted == in_a_list && s->list_line != s->line)
        config_syntax_error(s, s->line, "%s, where %s is expected (the list begins in line %u)",
                            found, wanted, s->list_line);
    else
        config_syntax_error(s, s->line, "%s, where %s is expected", found, wanted);
    return 0;
}
