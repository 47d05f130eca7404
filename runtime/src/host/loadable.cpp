// Reads the container and the JSON header of a host.loadable (docs/bundle.md, versions 1 to 3).
#include "host/loadable.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "unina/error.h"

namespace unina::host {
namespace {

using Json = nlohmann::json;

constexpr char kMagic[] = "UNINAHL1";
constexpr std::size_t kMagicBytes = 8;
constexpr std::size_t kPrefixBytes = kMagicBytes + sizeof(std::uint32_t);
constexpr std::size_t kAlignment = 64;
constexpr int kMaxDimension = 8192;
constexpr int kMaxBilinearFactor = 32;
constexpr std::size_t kMaxParameterBytes = std::size_t{1} << 30;
constexpr std::size_t kTableBytes = 256;

// An operator as the header calls it.
struct Kind {
  const char* name;
  OperatorType type;
  int since;  // version of the format
  std::size_t inputs;
  bool or_more = false;
};

constexpr Kind kKinds[] = {
    {"conv", OperatorType::kConv, 1, 1},
    {"relu", OperatorType::kRelu, 1, 1},
    {"add", OperatorType::kAdd, 1, 2},
    {"concat", OperatorType::kConcat, 1, 2, true},
    {"maxpool", OperatorType::kMaxPool, 1, 1},
    {"resize", OperatorType::kResize, 1, 1},
    {"table", OperatorType::kTable, 3, 1},
    {"mul", OperatorType::kMul, 3, 2},
    {"max", OperatorType::kMax, 3, 2},
    {"min", OperatorType::kMin, 3, 2},
    {"avgpool", OperatorType::kAvgPool, 3, 1},
    {"bilinear", OperatorType::kBilinear, 3, 1},
    {"depthtospace", OperatorType::kDepthToSpace, 3, 1},
};

// What a value that a person has to find looks like: short, on one line, whatever the bytes were.
// Nested values are not written out: they may be deep enough to exhaust the stack.
std::string shown(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array())
    for (const Json& item : value)
      if (item.is_structured()) return "a nested list";
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

std::string in_quotes(const std::string& text) { return shown(Json(text)); }

// Reads fields of one JSON object and names the object in every complaint.
class Fields {
 public:
  Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) fail("expected an object, found " + shown(object));
  }

  [[noreturn]] void fail(const std::string& reason) const { throw Error(where_ + ": " + reason); }

  bool has(const char* key) const { return object_.contains(key); }

  const Json& get(const char* key) const {
    const auto found = object_.find(key);
    if (found == object_.end()) fail(std::string("\"") + key + "\" is missing");
    return *found;
  }

  const Json& array(const char* key) const {
    const Json& value = get(key);
    if (!value.is_array()) wrong(key, value, "expected a list");
    return value;
  }

  std::string string(const char* key) const { return to_string(key, get(key)); }

  std::string to_string(const char* key, const Json& value) const {
    if (!value.is_string()) wrong(key, value, "expected a string");
    return value.get<std::string>();
  }

  bool boolean(const char* key) const {
    const Json& value = get(key);
    if (!value.is_boolean()) wrong(key, value, "expected true or false");
    return value.get<bool>();
  }

  std::int64_t integer(const char* key, std::int64_t low, std::int64_t high) const {
    return to_integer(key, get(key), low, high);
  }

  std::int64_t to_integer(const char* key, const Json& value, std::int64_t low,
                          std::int64_t high) const {
    const bool fits = value.is_number_unsigned()
                          ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(high) &&
                                static_cast<std::int64_t>(value.get<std::uint64_t>()) >= low
                          : value.is_number_integer() && value.get<std::int64_t>() >= low &&
                                value.get<std::int64_t>() <= high;
    if (!fits)
      wrong(key, value,
            "expected an integer from " + std::to_string(low) + " to " + std::to_string(high));
    return value.get<std::int64_t>();
  }

  std::vector<int> integers(const char* key, std::size_t count, int low, int high) const {
    const Json& value = array(key);
    if (value.size() != count) wrong(key, value, "expected " + std::to_string(count) + " integers");
    std::vector<int> result;
    for (const Json& item : value)
      result.push_back(static_cast<int>(to_integer(key, item, low, high)));
    return result;
  }

  Extent extent(const char* key, int low, int high = kMaxDimension) const {
    const auto values = integers(key, 2, low, high);
    return {values[0], values[1]};
  }

  Pads pads(const char* key) const {
    const auto values = integers(key, 4, 0, kMaxDimension);
    return {values[0], values[1], values[2], values[3]};
  }

  // A float32 written as eight hex digits, most significant first.
  float bits(const char* key) const {
    const std::string text = string(key);
    if (text.size() != 8 || text.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
      wrong(key, get(key), "expected 8 hex digits");
    const auto pattern = static_cast<std::uint32_t>(std::stoul(text, nullptr, 16));
    float value;
    std::memcpy(&value, &pattern, sizeof value);
    if (!std::isfinite(value) || value <= 0.0f)
      wrong(key, get(key), "expected a finite float32 above 0");
    return value;
  }

  [[noreturn]] void wrong(const char* key, const Json& value, const std::string& reason) const {
    fail(std::string("\"") + key + "\" is " + shown(value) + "; " + reason);
  }

 private:
  const Json& object_;
  std::string where_;
};

// The data block; copies typed arrays out of it after checking that they lie inside.
class DataBlock {
 public:
  DataBlock(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  template <typename T>
  std::vector<T> copy(const Fields& fields, const char* key, std::size_t count) const {
    const Json& value = fields.get(key);
    const auto offset = static_cast<std::size_t>(
        fields.to_integer(key, value, 0, std::numeric_limits<std::int64_t>::max()));
    if (offset % kAlignment != 0) fields.wrong(key, value, "offsets are multiples of 64");
    // By division: a count from the header times a size may not wrap around.
    if (offset > size_ || count > (size_ - offset) / sizeof(T))
      fields.wrong(key, value,
                   std::to_string(count) + " values of " + std::to_string(sizeof(T)) +
                       " bytes do not fit into the data block of " + std::to_string(size_));
    std::vector<T> result(count);
    std::memcpy(result.data(), data_ + offset, count * sizeof(T));
    return result;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

class Reader {
 public:
  Reader(const Json& header, const DataBlock& data, std::string name)
      : header_(header, name + ": header"), data_(data), name_(std::move(name)) {}

  Loadable read() {
    version_ = header_.integer("version", 1, 3);
    loadable_.rounding = rounding(header_.string("rounding"));
    read_tensors();
    loadable_.inputs = references(header_, "inputs");
    loadable_.outputs = references(header_, "outputs");
    const Json& operators = header_.array("ops");
    for (std::size_t i = 0; i < operators.size(); ++i) read_operator(operators[i], i);
    return std::move(loadable_);
  }

 private:
  Rounding rounding(const std::string& text) const {
    if (text == "half-away") return Rounding::kHalfAway;
    if (text == "half-even") return Rounding::kHalfEven;
    header_.fail("\"rounding\" is " + in_quotes(text) + R"(; expected "half-away" or "half-even")");
  }

  void read_tensors() {
    const Json& tensors = header_.array("tensors");
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const std::string where = name_ + ": tensor " + std::to_string(i);
      const Fields anonymous(tensors[i], where);
      Tensor tensor;
      tensor.name = anonymous.string("name");
      // Names go into messages of one line.
      for (const char c : tensor.name)
        if (static_cast<unsigned char>(c) < 0x20)
          anonymous.wrong("name", tensors[i]["name"], "control characters are not allowed");
      const Fields fields(tensors[i], where + " " + in_quotes(tensor.name));
      const auto shape = fields.integers("shape", 4, 1, kMaxDimension);
      if (shape[0] != 1) fields.wrong("shape", fields.get("shape"), "the batch is 1");
      tensor.channels = shape[1];
      tensor.height = shape[2];
      tensor.width = shape[3];
      if (in_float16(fields, "type"))
        tensor.type = DataType::kFloat16;
      else
        tensor.scale = fields.bits("scale_bits");
      if (!index_.emplace(tensor.name, static_cast<int>(i)).second)
        fields.fail("a second tensor of this name");
      loadable_.tensors.push_back(std::move(tensor));
    }
  }

  // Whether "type" or "precision" says float16; without the key it is int8.
  bool in_float16(const Fields& fields, const char* key) const {
    if (!fields.has(key) || fields.string(key) == "int8") return false;
    if (fields.string(key) != "float16")
      fields.wrong(key, fields.get(key), R"(expected "int8" or "float16")");
    if (version_ < 2) fields.fail("float16 belongs to version 2, the file says version 1");
    return true;
  }

  int reference(const Fields& fields, const char* key, const Json& value) const {
    const auto found = index_.find(fields.to_string(key, value));
    if (found == index_.end()) fields.wrong(key, value, "no tensor of this name");
    return found->second;
  }

  std::vector<int> references(const Fields& fields, const char* key) const {
    std::vector<int> result;
    for (const Json& value : fields.array(key)) result.push_back(reference(fields, key, value));
    return result;
  }

  void read_operator(const Json& json, std::size_t position) {
    const std::string label = "op " + std::to_string(position);
    const Fields anonymous(json, name_ + ": " + label);
    const std::string type = anonymous.string("type");
    Operator op;
    op.label = label + " (" + type;
    if (const std::string own = anonymous.has("name") ? anonymous.string("name") : ""; !own.empty())
      op.label += " " + own;
    op.label = op.label.substr(0, 120) + ")";
    // A name from a broken file may hold anything; the message stays on one line.
    const std::string safe = in_quotes(op.label);
    op.label = safe.substr(1, safe.size() - 2);
    const Fields fields(json, name_ + ": " + op.label);
    op.inputs = references(fields, "inputs");
    op.output = reference(fields, "output", fields.get("output"));
    op.in_float16 = in_float16(fields, "precision");
    if (op.in_float16 && type != "conv") fields.fail("only a conv computes in float16");
    const Kind& kind = kind_of(fields, type);
    op.type = kind.type;
    if (kind.or_more ? op.inputs.size() < kind.inputs : op.inputs.size() != kind.inputs)
      fields.fail(std::to_string(op.inputs.size()) + " inputs; expected " +
                  (kind.or_more ? "two or more" : std::to_string(kind.inputs)));
    read_parameters(fields, op);
    loadable_.operators.push_back(std::move(op));
  }

  const Kind& kind_of(const Fields& fields, const std::string& type) const {
    std::string known;
    for (const Kind& kind : kKinds) {
      if (type != kind.name) {
        known += (known.empty() ? "" : ", ") + std::string(kind.name);
        continue;
      }
      if (version_ < kind.since)
        fields.fail(type + " belongs to version " + std::to_string(kind.since) +
                    ", the file says version " + std::to_string(version_));
      return kind;
    }
    fields.wrong("type", fields.get("type"), "the engine knows " + known);
  }

  void read_parameters(const Fields& fields, Operator& op) {
    switch (op.type) {
      case OperatorType::kConv:
        read_conv(fields, op);
        break;
      case OperatorType::kAdd:
        op.relu = fields.boolean("relu");
        op.multiplier = {fields.bits("multiplier_bits")};
        break;
      case OperatorType::kMul:
        op.multiplier = {fields.bits("multiplier_bits")};
        break;
      case OperatorType::kMaxPool:
      case OperatorType::kAvgPool:
        read_window(fields, op);
        break;
      case OperatorType::kResize:
        op.factor = fields.extent("factor", 1);
        break;
      case OperatorType::kBilinear:
        op.factor = fields.extent("factor", 1, kMaxBilinearFactor);
        op.corner = corner(fields);
        op.multiplier = {fields.bits("multiplier_bits")};
        break;
      case OperatorType::kTable:
        op.table = data_.copy<std::int8_t>(fields, "table", kTableBytes);
        break;
      case OperatorType::kDepthToSpace:
        op.block = fields.extent("block", 1);
        break;
      case OperatorType::kRelu:
      case OperatorType::kConcat:
      case OperatorType::kMax:
      case OperatorType::kMin:
        break;
    }
  }

  static Corner corner(const Fields& fields) {
    const std::string text = fields.string("corner");
    if (text == "half_pixel") return Corner::kHalfPixel;
    if (text == "asymmetric") return Corner::kAsymmetric;
    fields.wrong("corner", fields.get("corner"), R"(expected "half_pixel" or "asymmetric")");
  }

  void read_window(const Fields& fields, Operator& op) const {
    op.kernel = fields.extent("kernel", 1);
    op.stride = fields.extent("stride", 1);
    op.pads = fields.pads("pads");
    if (fields.has("dilation")) op.dilation = fields.extent("dilation", 1);
  }

  void read_conv(const Fields& fields, Operator& op) {
    read_window(fields, op);
    op.groups = static_cast<int>(fields.integer("groups", 1, kMaxDimension));
    op.relu = fields.boolean("relu");
    const int in = loadable_.tensors[static_cast<std::size_t>(op.inputs[0])].channels;
    const int out = loadable_.tensors[static_cast<std::size_t>(op.output)].channels;
    if (in % op.groups != 0 || out % op.groups != 0)
      fields.wrong("groups", fields.get("groups"),
                   "does not divide " + std::to_string(in) + " input and " + std::to_string(out) +
                       " output channels");
    const auto outputs = static_cast<std::size_t>(out);
    // At most 8192^4 = 2^52: no overflow.
    const std::size_t weights = outputs * static_cast<std::size_t>(in / op.groups) *
                                static_cast<std::size_t>(op.kernel.y) *
                                static_cast<std::size_t>(op.kernel.x);
    // Operators may share weights, but every one gets its own copy.
    parameter_bytes_ += op.in_float16 ? 2 * weights : weights;
    if (weights > kMaxParameterBytes || parameter_bytes_ > kMaxParameterBytes)
      fields.fail("the weights need more than 1 GiB");
    if (op.in_float16) {
      op.float16_weights = data_.copy<std::uint16_t>(fields, "weights", weights);
      op.float_bias = data_.copy<float>(fields, "bias", outputs);
      if (loadable_.tensors[static_cast<std::size_t>(op.output)].type == DataType::kInt8)
        op.inverse_scale = fields.bits("inverse_scale_bits");
      return;
    }
    op.weights = data_.copy<std::int8_t>(fields, "weights", weights);
    op.bias = data_.copy<std::int32_t>(fields, "bias", outputs);
    op.multiplier = data_.copy<float>(fields, "multiplier", outputs);
  }

  Fields header_;
  const DataBlock& data_;
  std::string name_;
  Loadable loadable_;
  std::map<std::string, int> index_;
  std::size_t parameter_bytes_ = 0;
  std::int64_t version_ = 1;
};

}  // namespace

Loadable parse_loadable(const std::uint8_t* bytes, std::size_t size, const std::string& name) {
  const auto fail = [&](const std::string& reason) { throw Error(name + ": " + reason); };
  if (size < kPrefixBytes || std::memcmp(bytes, kMagic, kMagicBytes) != 0)
    fail("not a host.loadable: it does not begin with UNINAHL1");
  std::uint32_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes + kMagicBytes, sizeof header_bytes);
  if (header_bytes > size - kPrefixBytes)
    fail("truncated: the header should have " + std::to_string(header_bytes) + " bytes, " +
         std::to_string(size - kPrefixBytes) + " are left");
  const auto* begin = bytes + kPrefixBytes;
  const Json header = Json::parse(begin, begin + header_bytes, nullptr, /*allow_exceptions=*/false);
  if (header.is_discarded()) fail("the header is not JSON; the file is damaged");

  const std::size_t data_begin =
      (kPrefixBytes + header_bytes + kAlignment - 1) / kAlignment * kAlignment;
  const auto data_bytes = static_cast<std::size_t>(
      Fields(header, name + ": header")
          .integer("data_bytes", 0, std::numeric_limits<std::int64_t>::max()));
  if (data_begin > size || size - data_begin != data_bytes)
    fail("\"data_bytes\" is " + std::to_string(data_bytes) + ", but " +
         std::to_string(data_begin > size ? 0 : size - data_begin) +
         " bytes follow the header; the file is truncated or damaged");
  const DataBlock data(bytes + data_begin, data_bytes);
  Loadable loadable = Reader(header, data, name).read();
  check_graph(loadable, name);
  return loadable;
}

}  // namespace unina::host
