// The types of libjq's functions, which are looked up at run time: nothing is linked. They are those of jq 1.6 to 1.8.
#include <stdint.h>

// A JSON value of libjq; the functions consume (free) what they are given, apart from sluice_jv_copy.
typedef struct {
    unsigned char kind_flags;
    unsigned char pad;
    unsigned short offset;
    int size;
    union {
        void *pointer;
        double number;
    } content;
} sluice_jv;

typedef struct sluice_jq_state sluice_jq_state;
typedef void (*sluice_jq_message)(void *data, sluice_jv message);

typedef sluice_jq_state *(*sluice_jq_init)(void);
typedef void (*sluice_jq_teardown)(sluice_jq_state **state);
typedef void (*sluice_jq_set_error_cb)(sluice_jq_state *state, sluice_jq_message callback, void *data);
typedef int (*sluice_jq_compile)(sluice_jq_state *state, const char *program);
typedef void (*sluice_jq_start)(sluice_jq_state *state, sluice_jv input, int flags);
typedef sluice_jv (*sluice_jq_next)(sluice_jq_state *state);
typedef void (*sluice_jq_halt)(sluice_jq_state *state, sluice_jv code, sluice_jv message);

typedef sluice_jv (*sluice_jv_make)(void);
typedef sluice_jv (*sluice_jv_parse_sized)(const char *text, int length);
typedef sluice_jv (*sluice_jv_dump_string)(sluice_jv value, int flags);
typedef sluice_jv (*sluice_jv_convert)(sluice_jv value);
typedef void (*sluice_jv_free)(sluice_jv value);
// A kind, a length or a boolean.
typedef int (*sluice_jv_inspect)(sluice_jv value);
// The characters of a string; does not consume it.
typedef const char *(*sluice_jv_string_value)(sluice_jv value);
