#include <crypt.h>
#include <stdlib.h>
#include <string.h>

// crypt_r with its 32 KB of working memory on the heap. The answer is copied to `out`, which ends with NUL.
// Returns 0, or -1 when the setting is none that the library knows or `out` is too small.
static inline int sluice_crypt(const char *phrase, const char *setting, char *out, size_t capacity) {
    struct crypt_data *data = (struct crypt_data *)calloc(1, sizeof(struct crypt_data));
    if (!data) return -1;
    const char *answer = crypt_r(phrase, setting, data);
    int status = -1;
    if (answer && answer[0] != '*' && strlen(answer) < capacity) {
        memcpy(out, answer, strlen(answer) + 1);
        status = 0;
    }
    explicit_bzero(data, sizeof(struct crypt_data));
    free(data);
    return status;
}
