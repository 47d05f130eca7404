#include "json_field.h"

#include <algorithm>
#include <utility>

#include "printable.h"
#include "unina/error.h"

namespace unina {

using nlohmann::json;

JsonField::JsonField(const json& value, std::string origin)
    : JsonField(value, std::move(origin), "") {}

JsonField::JsonField(const json& value, std::string origin, std::string path)
    : value_(&value), origin_(std::move(origin)), path_(std::move(path)) {}

void JsonField::fail(const std::string& reason) const {
  std::string value;
  if (value_->is_primitive()) {
    value = value_->is_string()
                ? printable(value_->get_ref<const std::string&>())
                : value_->dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 80);
    value += ' ';
  }
  throw Error(origin_ + ": " + (path_.empty() ? "" : path_ + ": ") + value + reason +
              "; export or copy the bundle again");
}

bool JsonField::has(const std::string& key) const {
  return value_->is_object() && value_->contains(key);
}

JsonField JsonField::operator[](const std::string& key) const {
  if (!value_->is_object()) fail("is not an object");
  const auto found = value_->find(key);
  const std::string path = path_.empty() ? key : path_ + "." + key;
  if (found == value_->end()) fail("has no field '" + key + "'");
  return {*found, origin_, path};
}

std::vector<JsonField> JsonField::elements(std::size_t least, std::size_t most) const {
  if (!value_->is_array()) fail("is not a list");
  if (value_->size() < least || value_->size() > most) {
    fail("has " + std::to_string(value_->size()) + " elements, not " +
         (least == most ? std::to_string(least)
                        : std::to_string(least) + " to " + std::to_string(most)));
  }
  std::vector<JsonField> out;
  for (std::size_t i = 0; i < value_->size(); ++i) {
    out.push_back({(*value_)[i], origin_, path_ + "[" + std::to_string(i) + "]"});
  }
  return out;
}

std::vector<std::pair<std::string, JsonField>> JsonField::members() const {
  if (!value_->is_object()) fail("is not an object");
  std::vector<std::pair<std::string, JsonField>> out;
  for (const auto& [key, value] : value_->items()) {
    out.emplace_back(key, JsonField(value, origin_, path_ + "[" + printable(key) + "]"));
  }
  return out;
}

std::string JsonField::text() const {
  if (!value_->is_string()) fail("is not a text");
  const auto& text = value_->get_ref<const std::string&>();
  const bool control = std::any_of(text.begin(), text.end(), [](char character) {
    return static_cast<unsigned char>(character) < 0x20 || character == 0x7f;
  });
  if (text.empty() || text.size() > 200 || control) {
    fail("is not a text of 1 to 200 bytes without control characters");
  }
  return text;
}

std::int64_t JsonField::integer(std::int64_t least, std::int64_t most) const {
  // An unsigned value beyond int64 is out of every range that is asked for.
  const bool fits = value_->is_number_integer() &&
                    (!value_->is_number_unsigned() ||
                     value_->get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX));
  if (!fits || value_->get<std::int64_t>() < least || value_->get<std::int64_t>() > most) {
    fail("is not an integer within " + std::to_string(least) + " and " + std::to_string(most));
  }
  return value_->get<std::int64_t>();
}

double JsonField::number(double least, double most) const {
  if (value_->is_number()) {
    const double number = value_->get<double>();
    if (number >= least && number <= most) return number;
  }
  const auto shown = [](double bound) { return json(bound).dump(); };
  fail("is not a number within " + shown(least) + " and " + shown(most));
}

std::size_t JsonField::one_of(const std::vector<std::string>& allowed) const {
  std::string list;
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    if (value_->is_string() && value_->get_ref<const std::string&>() == allowed[i]) return i;
    list += (i == 0 ? "" : ", ") + allowed[i];
  }
  fail("is not one of: " + list);
}

}  // namespace unina
