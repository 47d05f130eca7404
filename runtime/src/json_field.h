// One value of a JSON document together with the way to it, so that a message can say which field
// is wrong.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace unina {

class JsonField {
 public:
  // `origin` is the file; the document must outlive the field.
  JsonField(const nlohmann::json& value, std::string origin);

  // A member of an object; throws Error when there is none.
  JsonField operator[](const std::string& key) const;
  bool has(const std::string& key) const;
  // The elements of an array of `least` to `most` elements.
  std::vector<JsonField> elements(std::size_t least, std::size_t most) const;
  // The members of an object.
  std::vector<std::pair<std::string, JsonField>> members() const;

  std::string text() const;  // 1 to 200 bytes without control characters
  std::int64_t integer(std::int64_t least, std::int64_t most) const;
  double number(double least, double most) const;  // finite
  // The index of a text among `allowed`.
  std::size_t one_of(const std::vector<std::string>& allowed) const;

  // Throws Error "origin: path: value reason; remedy".
  [[noreturn]] void fail(const std::string& reason) const;

 private:
  JsonField(const nlohmann::json& value, std::string origin, std::string path);

  const nlohmann::json* value_;
  std::string origin_;
  std::string path_;
};

}  // namespace unina
