// Reads detector.toml: of TOML (https://toml.io, 1.0) what a flat table needs, which is lines of
// key = value with text, numbers and comments. Every error names file and line.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>

#include "printable.h"
#include "service/configuration.h"
#include "unina/error.h"

namespace unina {
namespace {

constexpr std::size_t kMostBytes = 1 << 20;

std::string read_text(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  std::string text(kMostBytes + 1, '\0');
  if (file) text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (!file || std::ferror(file.get()) != 0) throw Error(path + ": cannot be read");
  if (text.size() > kMostBytes) {
    throw Error(path + ": is larger than 1 MiB; is it a configuration?");
  }
  return text;
}

bool is_space(char c) { return c == ' ' || c == '\t'; }
bool is_bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

// One line, read from the left.
class Line {
 public:
  explicit Line(std::string_view text) : text_(text) { skip_spaces(); }

  void skip_spaces() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  bool ended() const { return at_ == text_.size() || text_[at_] == '#'; }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (peek() != c || at_ == text_.size()) return false;
    ++at_;
    skip_spaces();
    return true;
  }

  std::string key() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_bare(text_[at_])) ++at_;
    std::string name(text_.substr(begin, at_ - begin));
    skip_spaces();
    if (peek() == '.') throw Error("dotted keys have no meaning here");
    if (name.empty()) throw Error("expected a key, like source = \"images:frames\"");
    return name;
  }

  std::string value() {
    const char quote = peek();
    std::string text;
    if (quote == '"' || quote == '\'') {
      if (text_.substr(at_, 3) == std::string(3, quote)) {
        throw Error("text over several lines has no meaning here");
      }
      text = quoted(quote);
    } else {
      const std::size_t begin = at_;
      while (!ended() && !is_space(text_[at_])) ++at_;
      text = text_.substr(begin, at_ - begin);
      const bool number = !text.empty() && text.find_first_not_of("+-.0123456789eE") == text.npos;
      if (!number) {
        throw Error((text.empty() ? "the value is missing" : "value " + printable(text)) +
                    "; text stands in quotes, a number does not");
      }
      // TOML allows a plus sign, what reads the text does not.
      if (text.front() == '+') text.erase(0, 1);
    }
    skip_spaces();
    if (!ended()) throw Error("something follows the value: " + printable(rest()));
    return text;
  }

 private:
  std::string rest() const { return std::string(text_.substr(at_)); }

  std::string quoted(char quote) {
    std::string text;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == quote) {
        ++at_;
        return text;
      }
      if (static_cast<unsigned char>(text_[at_]) < 0x20 && text_[at_] != '\t') {
        throw Error("text has a control character, " + printable(std::string(1, text_[at_])));
      }
      text += quote == '"' && text_[at_] == '\\' ? escaped() : text_[at_];
    }
    throw Error("text has no closing quote");
  }
  char escaped() {
    switch (++at_ < text_.size() ? text_[at_] : '\0') {
      case '"':
        return '"';
      case '\\':
        return '\\';
      case 't':
        return '\t';
      case 'n':
        return '\n';
      default:
        throw Error("unknown escape in text; known: \\\" \\\\ \\t \\n (or use 'single quotes')");
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

void read_line(Line line, std::set<std::string>& seen, Configuration& configuration) {
  if (line.ended()) return;
  if (line.peek() == '[') throw Error("tables have no meaning here; keys stand by themselves");
  const std::string name = line.key();
  const ConfigurationKey* key = find_configuration_key(name);
  if (key == nullptr) {
    std::vector<std::string> known;
    for (const ConfigurationKey& one : configuration_keys()) known.emplace_back(one.name);
    const std::string near = nearest(name, known);
    throw Error("unknown key " + printable(name) +
                (near.empty() ? "" : "; did you mean '" + near + "'?"));
  }
  if (!line.take('=')) throw Error("expected '=' after " + name);
  if (!seen.insert(name).second) throw Error(name + " stands here for the second time");
  const std::string value = line.value();
  try {
    key->set(configuration, value);
  } catch (const Error& error) {
    throw Error(name + ": " + error.what());
  }
}

void read_file(const std::string& path, Configuration& configuration) {
  const std::string text = read_text(path);
  std::set<std::string> seen;
  std::size_t begin = 0;
  for (int number = 1; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line(text.data() + begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    begin = end + 1;
    try {
      read_line(Line(line), seen, configuration);
    } catch (const Error& error) {
      throw Error(path + ", line " + std::to_string(number) + ": " + error.what());
    }
  }
}

}  // namespace

Configuration read_configuration(const std::string& path, const Flags& flags) {
  Configuration configuration;
  if (!path.empty()) read_file(path, configuration);
  for (const auto& [name, text] : flags) {
    const ConfigurationKey* key = find_configuration_key(name);
    if (key == nullptr) throw Error("unknown key " + printable(name));
    try {
      key->set(configuration, text);
    } catch (const Error& error) {
      throw Error(flag_of(*key) + ": " + error.what());
    }
  }
  if (!configuration.model.empty()) take_model(configuration);
  const std::string where = path.empty() ? "configuration" : path;
  if (configuration.bundle.empty()) throw Error(where + ": needs bundle, the model (--bundle DIR)");
  if (configuration.source.empty()) {
    throw Error(where + ": needs source, where pictures come from (--source images:DIR)");
  }
  if (configuration.retry_first_ms > configuration.retry_most_ms) {
    throw Error(where + ": retry_first_ms " + std::to_string(configuration.retry_first_ms) +
                " is more than retry_most_ms " + std::to_string(configuration.retry_most_ms));
  }
  if (!configuration.dla1_loadable.empty() &&
      (configuration.dla != "both" || configuration.dla_loadable.empty())) {
    throw Error(where + ": dla1_loadable needs dla = \"both\", and dla_loadable for core 0");
  }
  return configuration;
}

}  // namespace unina
