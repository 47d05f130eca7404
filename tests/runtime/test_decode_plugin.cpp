// The plugin as TensorRT sees it: made from fields, asked for shapes and formats, cloned, stored,
// and run. With our declarations of TensorRT in every build, with NVIDIA's by
// test_tensorrt_plugin.py.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "decode_creator.h"
#include "decode_plugin.h"
#include "fake_expressions.h"
#include "gpu_memory.h"
#include "played_launch.h"
#include "random_maps.h"

namespace unina {
namespace {

using namespace nvinfer1;
using nvinfer1::DataType;  // not those of unina
using nvinfer1::TensorFormat;
using plugin::DecodeCreator;
using plugin::DecodeFields;

constexpr int kOutputs = 4, kMost = 50;

DecodeFields good_fields() { return {{8, 16}, 2, {0.5f, 0.25f, 0.5f}, kMost, 1.0f}; }

std::unique_ptr<IPluginV3> make(const DecodeFields& fields) {
  const std::vector<PluginField> given = fields.fields();
  const PluginFieldCollection all = {static_cast<int>(given.size()), given.data()};
  return std::unique_ptr<IPluginV3>(
      DecodeCreator().createPlugin("decode", &all, TensorRTPhase::kBUILD));
}

IPluginV3OneBuild& build_of(IPluginV3& made) {
  return *static_cast<IPluginV3OneBuild*>(
      made.getCapabilityInterface(PluginCapabilityType::kBUILD));
}
IPluginV3OneRuntime& runtime_of(IPluginV3& made) {
  return *static_cast<IPluginV3OneRuntime*>(
      made.getCapabilityInterface(PluginCapabilityType::kRUNTIME));
}

Dims dims_of(std::initializer_list<std::int64_t> sizes) {
  Dims dims{};
  for (const std::int64_t size : sizes) dims.d[dims.nbDims++] = size;
  return dims;
}

PluginTensorDesc linear(DataType type, const Dims& dims) {
  return {dims, type, TensorFormat::kLINEAR, 1.0f};
}

// The maps of a 64x48 input, batch 1 to `pictures`.
std::vector<DynamicPluginTensorDesc> inputs_of(std::int64_t pictures) {
  std::vector<DynamicPluginTensorDesc> all;
  for (const std::int64_t stride : {8, 16})
    for (const std::int64_t channels : {3, 8}) {
      const auto dims = [&](std::int64_t batch) {
        return dims_of({batch, channels, 48 / stride, 64 / stride});
      };
      all.push_back({linear(DataType::kFLOAT, dims(-1)), dims(1), dims(pictures), dims(1)});
    }
  return all;
}

// The stored form of every field, byte by byte.
std::vector<std::string> stored(IPluginV3& made) {
  const PluginFieldCollection* all = runtime_of(made).getFieldsToSerialize();
  std::vector<std::string> fields;
  for (int i = 0; i < all->nbFields; ++i) {
    const PluginField& one = all->fields[i];
    fields.push_back(
        std::string(one.name) + "=" + std::to_string(static_cast<int>(one.type)) + ":" +
        std::string(static_cast<const char*>(one.data), 4 * static_cast<std::size_t>(one.length)));
  }
  return fields;
}

// What a call says on stderr, which must be one line.
template <typename Call>
std::string said(Call call) {
  testing::internal::CaptureStderr();
  call();
  std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), text.empty() ? 0 : 1) << text;
  return text;
}

TEST(DecodePlugin, OffersTheThreeCapabilitiesOfAPluginV3) {
  const auto made = make(good_fields());
  const auto kind = [&](PluginCapabilityType type) {
    return std::string(made->getCapabilityInterface(type)->getInterfaceInfo().kind);
  };
  EXPECT_EQ(kind(PluginCapabilityType::kCORE), "PLUGIN_V3ONE_CORE");
  EXPECT_EQ(kind(PluginCapabilityType::kBUILD), "PLUGIN_V3ONE_BUILD");
  EXPECT_EQ(kind(PluginCapabilityType::kRUNTIME), "PLUGIN_V3ONE_RUNTIME");
  EXPECT_STREQ(DecodeCreator().getInterfaceInfo().kind, "PLUGIN CREATOR_V3ONE");
  const auto& core =
      *static_cast<IPluginV3OneCore*>(made->getCapabilityInterface(PluginCapabilityType::kCORE));
  DecodeCreator creator;
  EXPECT_STREQ(core.getPluginName(), creator.getPluginName());
  EXPECT_STREQ(core.getPluginVersion(), creator.getPluginVersion());
  EXPECT_STREQ(core.getPluginNamespace(), creator.getPluginNamespace());
}

TEST(DecodePlugin, TheCreatorNamesEveryFieldThatIsStored) {
  DecodeCreator creator;
  const PluginFieldCollection* names = creator.getFieldNames();
  const auto made = make(good_fields());
  const PluginFieldCollection* fields = runtime_of(*made).getFieldsToSerialize();
  ASSERT_EQ(names->nbFields, fields->nbFields);
  for (int i = 0; i < names->nbFields; ++i) {
    EXPECT_STREQ(names->fields[i].name, fields->fields[i].name);
    EXPECT_EQ(names->fields[i].type, fields->fields[i].type);
    EXPECT_EQ(names->fields[i].data, nullptr);
  }
}

TEST(DecodePlugin, WhatAnEngineStoresMakesTheSamePlugin) {
  DecodeFields fields = good_fields();
  fields.nms_iou = 0.625f;
  const auto made = make(fields);
  const std::unique_ptr<IPluginV3> again(DecodeCreator().createPlugin(
      "decode", runtime_of(*made).getFieldsToSerialize(), TensorRTPhase::kRUNTIME));
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(stored(*again), stored(*made));
  fields.nms_iou = 0.5f;
  EXPECT_NE(stored(*make(fields)), stored(*made));
}

TEST(DecodePlugin, AClonesFieldsAreItsOwn) {
  auto made = make(good_fields());
  const std::vector<std::string> fields = stored(*made);
  const std::unique_ptr<IPluginV3> clone(made->clone());
  const std::unique_ptr<IPluginV3> attached(runtime_of(*made).attachToContext(nullptr));
  made.reset();
  EXPECT_EQ(stored(*clone), fields);
  EXPECT_EQ(stored(*attached), fields);
}

TEST(DecodePlugin, SaysWhichOutputsItHas) {
  const auto made = make(good_fields());
  IPluginV3OneBuild& build = build_of(*made);
  ASSERT_EQ(build.getNbOutputs(), kOutputs);
  DataType types[kOutputs];
  const DataType inputs[] = {DataType::kFLOAT, DataType::kFLOAT, DataType::kFLOAT,
                             DataType::kFLOAT};
  ASSERT_EQ(build.getOutputDataTypes(types, kOutputs, inputs, 4), 0);
  EXPECT_EQ(types[0], DataType::kINT32);
  EXPECT_EQ(types[1], DataType::kFLOAT);
  EXPECT_EQ(types[2], DataType::kFLOAT);
  EXPECT_EQ(types[3], DataType::kINT32);

  FakeExpressions expressions;
  IExprBuilder& builder = expressions;
  DimsExprs given[4]{}, shapes[kOutputs]{};
  for (DimsExprs& one : given) {
    one.nbDims = 4;
    for (int d = 0; d < 4; ++d) one.d[d] = builder.constant(d == 0 ? 7 : 9);
  }
  ASSERT_EQ(build.getOutputShapes(given, 4, nullptr, 0, shapes, kOutputs, builder), 0);
  const std::vector<std::vector<std::int64_t>> expected = {
      {7, 1}, {7, kMost, 4}, {7, kMost}, {7, kMost}};
  for (std::size_t i = 0; i < kOutputs; ++i) {
    std::vector<std::int64_t> shape;
    for (int d = 0; d < shapes[i].nbDims; ++d) shape.push_back(value_of(shapes[i].d[d]));
    EXPECT_EQ(shape, expected[i]);
    EXPECT_EQ(shapes[i].d[0], given[0].d[0]) << "the batch is the input's, known or not";
  }
}

TEST(DecodePlugin, TakesLinearFloatsAlone) {
  const auto made = make(good_fields());
  std::vector<DynamicPluginTensorDesc> tensors = inputs_of(1);
  for (const DataType type :
       {DataType::kINT32, DataType::kFLOAT, DataType::kFLOAT, DataType::kINT32}) {
    tensors.push_back({linear(type, dims_of({1, 1})), {}, {}, {}});
  }
  const auto supports = [&](int position) {
    return build_of(*made).supportsFormatCombination(position, tensors.data(), 4, kOutputs);
  };
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(supports(i)) << i;
    PluginTensorDesc& one = tensors[static_cast<std::size_t>(i)].desc;
    const PluginTensorDesc before = one;
    one.type = DataType::kHALF;
    EXPECT_FALSE(supports(i)) << i;
    one = before;
    one.format = TensorFormat::kCHW32;
    EXPECT_FALSE(supports(i)) << i;
    one = before;
  }
  EXPECT_FALSE(supports(8));
  EXPECT_FALSE(supports(-1));
}

TEST(DecodePlugin, TheWorkspaceIsEnoughForTheLargestBatch) {
  const auto made = make(good_fields());
  const auto bytes = [&](std::int64_t pictures) {
    const auto inputs = inputs_of(pictures);
    EXPECT_EQ(build_of(*made).configurePlugin(inputs.data(), 4, nullptr, kOutputs), 0);
    return build_of(*made).getWorkspaceSize(inputs.data(), 4, nullptr, kOutputs);
  };
  constexpr std::size_t kCells = 6 * 8 + 3 * 4;
  EXPECT_GE(bytes(1), kCells * sizeof(plugin::Candidate));
  EXPECT_GE(bytes(8), 8 * kCells * sizeof(plugin::Candidate));
}

// A batch that is run in the way of TensorRT: shapes are told, then the work is enqueued.
struct Batch {
  Batch(IPluginV3& made, const RandomMaps& given) : plugin_(made), maps(given) {
    for (std::size_t i = 0; i < 2 * maps.strides.size(); ++i) {
      const int stride = maps.strides[i / 2];
      const int channels = i % 2 == 0 ? maps.classes : 4 * maps.reg_max;
      const Dims dims =
          dims_of({maps.pictures, channels, maps.height / stride, maps.width / stride});
      descs.push_back(linear(DataType::kFLOAT, dims));
      held.push_back(std::make_unique<GpuMemory>(maps.maps[i]));
      inputs.push_back(held.back()->get<void>());
      dynamic.push_back({descs.back(), dims, dims, dims});
    }
    const auto pictures = static_cast<std::size_t>(maps.pictures);
    for (const std::size_t size : {std::size_t{4}, kMost * std::size_t{16}, kMost * std::size_t{4},
                                   kMost * std::size_t{4}}) {
      results.push_back(std::make_unique<GpuMemory>(pictures * size, 0x55));
      outputs.push_back(results.back()->get<void>());
    }
  }
  int operator()() {
    const auto count = static_cast<int>(descs.size());
    const GpuMemory workspace(
        build_of(plugin_).getWorkspaceSize(dynamic.data(), count, nullptr, kOutputs), 0x55);
    IPluginV3OneRuntime& runtime = runtime_of(plugin_);
    const int told = runtime.onShapeChange(descs.data(), count, nullptr, kOutputs);
    return told != 0 ? told
                     : runtime.enqueue(descs.data(), nullptr, inputs.data(), outputs.data(),
                                       workspace.get<void>(), nullptr);
  }

  IPluginV3& plugin_;
  const RandomMaps& maps;
  std::vector<PluginTensorDesc> descs;
  std::vector<DynamicPluginTensorDesc> dynamic;
  std::vector<std::unique_ptr<GpuMemory>> held, results;
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
};

TEST(DecodePlugin, ABatchGivesTheDecodersDetectionsOfEachPicture) {
  const DecodeFields fields = good_fields();
  const auto made = make(fields);
  for (const int pictures : {1, 3}) {
    const RandomMaps maps({8, 16}, pictures, 3, 2, 11);
    Batch run(*made, maps);
    ASSERT_EQ(run(), 0);
    const auto count = run.results[0]->read<int>();
    const auto boxes = run.results[1]->read<Box>();
    const auto scores = run.results[2]->read<float>();
    const auto classes = run.results[3]->read<int>();
    for (std::size_t picture = 0; picture < static_cast<std::size_t>(pictures); ++picture) {
      const Detections expected =
          maps.expected(static_cast<int>(picture), fields.thresholds, kMost);
      ASSERT_GT(expected.size(), 3u);
      ASSERT_EQ(static_cast<std::size_t>(count[picture]), expected.size());
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const std::size_t at = picture * kMost + i;
        EXPECT_EQ(std::memcmp(&boxes[at], &expected[i].box, sizeof(Box)), 0);
        EXPECT_EQ(scores[at], expected[i].score);
        EXPECT_EQ(classes[at], expected[i].class_id);
      }
    }
  }
}

TEST(DecodePlugin, WhatCudaRefusesIsReturnedAndSaid) {
  const auto made = make(good_fields());
  const RandomMaps maps({8, 16}, 1, 3, 2, 11);
  Batch run(*made, maps);
  plugin::refusal = "no kernel image is available";
  EXPECT_EQ(said([&] { EXPECT_NE(run(), 0); }),
            "unina: UninaDecode: CUDA refused its kernels: no kernel image is available\n");
  plugin::refusal = nullptr;
  EXPECT_EQ(run(), 0);
}

TEST(DecodePlugin, ShapesThatDoNotFitAreRefusedAndNamed) {
  const auto made = make(good_fields());
  const auto configured = [&](auto change) {
    auto inputs = inputs_of(2);
    change(inputs);
    return said([&] {
      EXPECT_NE(build_of(*made).configurePlugin(inputs.data(), static_cast<int>(inputs.size()),
                                                nullptr, kOutputs),
                0);
    });
  };
  using Inputs = std::vector<DynamicPluginTensorDesc>;
  EXPECT_EQ(configured([](Inputs& in) { in[1].desc.dims.d[1] = in[1].max.d[1] = 9; }),
            "unina: UninaDecode: input 1 is 2x9x6x8, expected 2x8x6x8; inputs are the class map "
            "and the box map of each stride\n");
  EXPECT_NE(configured([](Inputs& in) { in[0].desc.dims.d[1] = 4; }).find("input 0 is 2x4x6x8"),
            std::string::npos);
  EXPECT_NE(configured([](Inputs& in) { in[3].max.d[0] = 3; }).find("input 3 is 3x8x3x4"),
            std::string::npos);
  EXPECT_NE(configured([](Inputs& in) { in.pop_back(); }).find("3 inputs for 2 strides"),
            std::string::npos);
  EXPECT_NE(configured([](Inputs& in) {
              in[2].desc.dims.nbDims = 3;
            }).find("input 2 has 3 dimensions, expected N x C x H x W"),
            std::string::npos);
  const RandomMaps maps({8, 16}, 1, 2, 2, 11);  // two classes, not three
  Batch run(*made, maps);
  EXPECT_NE(said([&] {
              const int told = runtime_of(*made).onShapeChange(run.descs.data(), 4, nullptr, 4);
              EXPECT_NE(told, 0);
            }).find("input 0 is 1x2x4x10, expected 1x3x4x10"),
            std::string::npos);
}

TEST(DecodePlugin, FieldsThatDoNotFitMakeNoPluginAndAreNamed) {
  const auto refused = [](auto change) {
    DecodeFields fields = good_fields();
    change(fields);
    return said([&] { EXPECT_EQ(make(fields), nullptr); });
  };
  EXPECT_EQ(refused([](DecodeFields& f) { f.nms_iou = 1.5f; }),
            "unina: UninaDecode: nms_iou is 1.500000, expected 0.000000 to 1.000000\n");
  const auto names = [&](auto change, const char* text) {
    const std::string line = refused(change);
    EXPECT_NE(line.find(text), std::string::npos) << line;
  };
  names([](DecodeFields& f) { f.reg_max = 0; }, "reg_max is 0");
  names([](DecodeFields& f) { f.max_detections = -1; }, "max_detections is -1");
  names([](DecodeFields& f) { f.thresholds[1] = std::nanf(""); }, "a threshold is nan");
  names([](DecodeFields& f) { f.strides[0] = 0; }, "a stride is 0");
  names([](DecodeFields& f) { f.strides.clear(); }, "strides: expected int32 values");
  names([](DecodeFields& f) { f.strides.assign(9, 8); }, "the number of strides is 9");
  names([](DecodeFields& f) { f.thresholds.assign(513, 0.5f); }, "the number of thresholds is 513");
}

TEST(DecodePlugin, AFieldThatIsMissingOrOfAnotherTypeIsNamed) {
  const DecodeFields fields = good_fields();
  const std::vector<PluginField> whole = fields.fields();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const auto line = [&](auto change) {
      std::vector<PluginField> given = whole;
      change(given);
      const PluginFieldCollection all = {static_cast<int>(given.size()), given.data()};
      return said([&] {
        EXPECT_EQ(DecodeCreator().createPlugin("decode", &all, TensorRTPhase::kBUILD), nullptr);
      });
    };
    using Given = std::vector<PluginField>;
    const auto at = static_cast<std::ptrdiff_t>(i);
    const std::string name = whole[i].name;
    EXPECT_NE(line([&](Given& g) { g.erase(g.begin() + at); }).find(name + " is missing"),
              std::string::npos);
    EXPECT_NE(
        line([&](Given& g) { g[i].type = PluginFieldType::kUNKNOWN; }).find(name + ": expected"),
        std::string::npos);
  }
  EXPECT_NE(said([] {
              EXPECT_EQ(DecodeCreator().createPlugin("x", nullptr, TensorRTPhase::kBUILD), nullptr);
            }).find("no fields were given"),
            std::string::npos);
}

}  // namespace
}  // namespace unina
