// SHA-256 (FIPS 180-4), by OpenSSL.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace unina {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void add(const void* data, std::size_t bytes);
  std::string hex();  // 64 lower-case digits; once, at the end

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace unina
