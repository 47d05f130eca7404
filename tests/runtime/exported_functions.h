// The functions that a shared library exports, read from its own symbol table.
#pragma once

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace unina::test {

// `library` as dlopen takes it; only names that begin with `prefix`.
inline std::set<std::string> exported_functions(const char* library, const std::string& prefix) {
  void* handle = ::dlopen(library, RTLD_NOW | RTLD_LOCAL);
  link_map* map = nullptr;
  if (handle == nullptr || ::dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0) {
    throw std::runtime_error(std::string(library) + " cannot be opened");
  }
  std::ifstream file(map->l_name, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  const auto at = [&](auto& value, std::size_t offset) {
    if (offset + sizeof value > bytes.size()) throw std::runtime_error("a truncated ELF file");
    std::memcpy(&value, bytes.data() + offset, sizeof value);
  };
  Elf64_Ehdr header;
  at(header, 0);
  std::set<std::string> names;
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section, texts;
    at(section, header.e_shoff + std::size_t{i} * header.e_shentsize);
    if (section.sh_type != SHT_DYNSYM) continue;
    at(texts, header.e_shoff + std::size_t{section.sh_link} * header.e_shentsize);
    for (std::size_t entry = 0; entry < section.sh_size; entry += section.sh_entsize) {
      Elf64_Sym symbol;
      at(symbol, section.sh_offset + entry);
      if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF) continue;
      const std::string name = bytes.data() + texts.sh_offset + symbol.st_name;
      if (name.compare(0, prefix.size(), prefix) == 0) names.insert(name);
    }
  }
  return names;
}

}  // namespace unina::test
