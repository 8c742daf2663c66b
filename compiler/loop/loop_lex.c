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

static Token make_token(const Lexer *x, TokenKind kind, size_t length)
{
    Place place = {x->file, x->line, (int)(x->at - x->line_start) + 1, (int)length};

    return (Token){kind, place, ""};
}

static Token take(Lexer *x, TokenKind kind, size_t length)
{
    Token t = make_token(x, kind, length);

    t.text = arena_strndup(x->cx->temp, x->at, length);
    x->at += length;
    return t;
}

static Token bad_token(Lexer *x, size_t length, const char *what, const char *remedy)
{
    Token t = make_token(x, TOKEN_BAD, length);

    diag_error(x->cx->diags, t.place, "E0501", "%s", what);
    if (remedy)
        diag_help(x->cx->diags, "%s", remedy);
    x->end = x->at;
    return t;
}

static Token take_comment(Lexer *x)
{
    size_t n = strcspn(x->at, "\n"), from = 1, to = n;

    while (from < to && strchr(" \t\r", x->at[from]))
        from++;
    while (to > from && strchr(" \t\r", x->at[to - 1]))
        to--;
    Token t = make_token(x, TOKEN_COMMENT, n);
    t.text = arena_strndup(x->cx->temp, x->at + from, to - from);
    x->at += n;
    return t;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* Decodes \" \\ \xHH at s; the number of bytes read, 0 for anything else. */
static size_t decode_escape(const char *s, char *out)
{
    if (s[1] == '"' || s[1] == '\\') {
        *out = s[1];
        return 2;
    }
    int high = s[1] == 'x' ? hex_digit(s[2]) : -1;
    int low = high >= 0 ? hex_digit(s[3]) : -1;
    if (low < 0 || (high == 0 && low == 0))
        return 0;
    *out = (char)(high * 16 + low);
    return 4;
}

static Token take_string(Lexer *x)
{
    Str s = str_new(x->cx->temp);
    const char *c = x->at + 1;

    while (*c && *c != '"' && *c != '\n') {
        char byte = *c;
        size_t n = byte == '\\' ? decode_escape(c, &byte) : 1;
        if (n == 0)
            return bad_token(x, (size_t)(c - x->at), "unknown escape in this string",
                             "the escapes are \\\" \\\\ and \\x with two lower-case digits");
        str_char(&s, byte);
        c += n;
    }
    if (*c != '"')
        return bad_token(x, (size_t)(c - x->at), "this string does not end on its line",
                         "close it with \"");
    Token t = make_token(x, TOKEN_STRING, (size_t)(c + 1 - x->at));
    t.text = s.data;
    x->at = c + 1;
    return t;
}

static Token take_punct(Lexer *x)
{
    static const char *const PUNCT[] = {"<=", "==", "!=", "+:", "(", ")", "[", "]", "{", "}", ",",
                                        ";",  ":",  "=",  "<",  "+", "-", "*", "/", "%", "~"};

    for (size_t i = 0; i < sizeof PUNCT / sizeof PUNCT[0]; i++) {
        size_t n = strlen(PUNCT[i]);
        if (strncmp(x->at, PUNCT[i], n) == 0) {
            Token t = make_token(x, TOKEN_PUNCT, n);
            t.text = PUNCT[i];
            x->at += n;
            return t;
        }
    }
    return bad_token(x, 1, "this character has no meaning here",
                     "names with such characters are written in quotes");
}

Token lex_next(Lexer *x)
{
    while (x->at < x->end && strchr(" \t\r\n", *x->at)) {
        if (*x->at++ == '\n') {
            x->line++;
            x->line_start = x->at;
        }
    }
    if (x->at >= x->end)
        return make_token(x, TOKEN_END, 0);
    if (*x->at == '#')
        return take_comment(x);
    if (*x->at == '"')
        return take_string(x);
    if (is_digit(*x->at))
        return take(x, TOKEN_NUMBER, number_length(x->at));
    size_t n = name_length(x->at);
    return n > 0 ? take(x, TOKEN_NAME, n) : take_punct(x);
}
