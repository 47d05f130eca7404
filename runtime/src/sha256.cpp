#include "sha256.h"

#include <openssl/evp.h>

#include <array>

#include "unina/error.h"

namespace unina {

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  if (EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) != 1) {
    throw Error("OpenSSL cannot compute SHA-256 on this system");
  }
}

Sha256::~Sha256() = default;

void Sha256::add(const void* data, std::size_t bytes) {
  if (EVP_DigestUpdate(context_->evp, data, bytes) != 1) throw Error("OpenSSL: SHA-256 failed");
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  if (EVP_DigestFinal_ex(context_->evp, digest.data(), &size) != 1) {
    throw Error("OpenSSL: SHA-256 failed");
  }
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    text += kHex[digest[i] >> 4];
    text += kHex[digest[i] & 15];
  }
  return text;
}

}  // namespace unina
