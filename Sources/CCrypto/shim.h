#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/x509.h>
