/* loop_lex: cuts the text of a kernel or module into tokens.
 *
 * example: "y[oc.o, i +: 16] = 0x1p+0; # bias" is
 *          y  [  oc.o  ,  i  +:  16  ]  =  0x1p+0  ;  comment(bias)
 *
 * Contract: any bytes may come in. The first malformed token is reported (E0501) and ends the
 * text, since what follows it would be guesswork. Places count lines and bytes from 1.
 */
#include <string.h>

#include "loop/loop_text.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}

/* Words joined by single dots, as schedules name the parts of a loop: oc.o.i */
size_t name_length(const char *text)
{
    size_t n = 0;

    if (!is_word_char(text[0]) || is_digit(text[0]))
        return 0;
    while (is_word_char(text[n]) || (text[n] == '.' && is_word_char(text[n + 1])))
        n++;
    return n;
}

/* Everything that could belong to a number, so that 12ab is one bad number and not 12 and ab. */
static size_t number_length(const char *text)
{
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    size_t n = 0;

    while (is_word_char(text[n]) || text[n] == '.') {
        char c = text[n++];
        bool exponent = hex ? c == 'p' || c == 'P' : c == 'e' || c == 'E';
        if (exponent && (text[n] == '+' || text[n] == '-'))
            n++;
    }
    return n;
}

/* The next `length` bytes are a token. */
static Token take(Lexer *x, TokenKind kind, size_t length, const char *text)
{
    Place place = {x->file, x->line, (int)(x->at - x->line_start) + 1, (int)length};

    x->at += length;
    return (Token){kind, place, text};
}

static Token take_word(Lexer *x, TokenKind kind, size_t length)
{
    return take(x, kind, length, arena_strndup(x->cx->temp, x->at, length));
}

static Token take_bad(Lexer *x, size_t length, const char *what, const char *remedy)
{
    Token t = take(x, TOKEN_BAD, length, "");

    diag_error(x->cx->diags, t.place, "E0501", "%s", what);
    diag_help(x->cx->diags, "%s", remedy);
    return t;
}

static Token take_comment(Lexer *x)
{
    size_t n = strcspn(x->at, "\n"), from = 1, to = n;

    while (from < to && strchr(" \t\r", x->at[from]))
        from++;
    while (to > from && strchr(" \t\r", x->at[to - 1]))
        to--;
    return take(x, TOKEN_COMMENT, n, arena_strndup(x->cx->temp, x->at + from, to - from));
}

/* Decodes \" \\ \xHH at s; the number of bytes read, 0 for anything else. */
static size_t decode_escape(const char *s, char *out)
{
    static const char DIGIT[] = "0123456789abcdef";

    if (s[1] == '"' || s[1] == '\\') {
        *out = s[1];
        return 2;
    }
    const char *high = s[1] == 'x' && s[2] ? strchr(DIGIT, s[2]) : NULL;
    const char *low = high && s[3] ? strchr(DIGIT, s[3]) : NULL;
    if (!low)
        return 0;
    *out = (char)((high - DIGIT) * 16 + (low - DIGIT));
    return *out ? 4 : 0;
}

static Token take_string(Lexer *x)
{
    Str s = str_new(x->cx->temp);
    const char *c = x->at + 1;

    while (*c && *c != '"' && *c != '\n') {
        char byte = *c;
        size_t n = byte == '\\' ? decode_escape(c, &byte) : 1;
        if (n == 0)
            return take_bad(x, (size_t)(c - x->at), "unknown escape in this string",
                            "the escapes are \\\" \\\\ and \\x with two lower-case digits");
        str_char(&s, byte);
        c += n;
    }
    if (*c != '"')
        return take_bad(x, (size_t)(c - x->at), "this string does not end on its line",
                        "close it with \"");
    return take(x, TOKEN_STRING, (size_t)(c + 1 - x->at), s.data);
}

static Token take_punct(Lexer *x)
{
    static const char *const PUNCT[] = {"<=", "==", "!=", "+:", "(", ")", "[", "]", "{", "}", ",",
                                        ";",  ":",  "=",  "<",  "+", "-", "*", "/", "%", "~"};

    for (size_t i = 0; i < sizeof PUNCT / sizeof PUNCT[0]; i++) {
        size_t n = strlen(PUNCT[i]);
        if (strncmp(x->at, PUNCT[i], n) == 0)
            return take(x, TOKEN_PUNCT, n, PUNCT[i]);
    }
    return take_bad(x, 1, "this character has no meaning here",
                    "names with such characters are written in quotes");
}

Token lex_next(Lexer *x)
{
    for (; x->at < x->end && strchr(" \t\r\n", *x->at); x->at++) {
        if (*x->at == '\n') {
            x->line++;
            x->line_start = x->at + 1;
        }
    }
    if (x->at >= x->end)
        return take(x, TOKEN_END, 0, "");
    if (*x->at == '#')
        return take_comment(x);
    if (*x->at == '"')
        return take_string(x);
    if (is_digit(*x->at))
        return take_word(x, TOKEN_NUMBER, number_length(x->at));
    size_t n = name_length(x->at);
    return n > 0 ? take_word(x, TOKEN_NAME, n) : take_punct(x);
}
