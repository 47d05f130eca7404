// What the plugin relies on in TensorRT's headers. Compiled in every build against our own
// declarations, and by test_tensorrt_plugin.py against NVIDIA's where UNINA_TRT_INCLUDE names them.
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "nvinfer_plugin_abi.h"

namespace contract {

using namespace nvinfer1;

static_assert(NV_TENSORRT_MAJOR == 10, "the plugin was written for TensorRT 10");

// What a method of an interface takes and returns.
#define UNINA_METHOD(type, method, signature) \
  static_assert(std::is_same_v<decltype(&type::method), signature>, #method)

using Descs = const PluginTensorDesc*;
using Ranges = const DynamicPluginTensorDesc*;
using Types = DataType*;
using i32 = std::int32_t;

UNINA_METHOD(IPluginV3, getCapabilityInterface,
             IPluginCapability* (IPluginV3::*)(PluginCapabilityType) noexcept);
UNINA_METHOD(IPluginV3, clone, IPluginV3* (IPluginV3::*)() noexcept);
UNINA_METHOD(IPluginV3OneCore, getPluginName, const char* (IPluginV3OneCore::*)() const noexcept);
UNINA_METHOD(IPluginV3OneBuild, configurePlugin,
             i32 (IPluginV3OneBuild::*)(Ranges, i32, Ranges, i32) noexcept);
UNINA_METHOD(IPluginV3OneBuild, getOutputDataTypes,
             i32 (IPluginV3OneBuild::*)(Types, i32, const DataType*, i32) const noexcept);
UNINA_METHOD(IPluginV3OneBuild, getOutputShapes,
             i32 (IPluginV3OneBuild::*)(const DimsExprs*, i32, const DimsExprs*, i32, DimsExprs*,
                                        i32, IExprBuilder&) noexcept);
UNINA_METHOD(IPluginV3OneBuild, supportsFormatCombination,
             bool (IPluginV3OneBuild::*)(i32, Ranges, i32, i32) noexcept);
UNINA_METHOD(IPluginV3OneBuild, getNbOutputs, i32 (IPluginV3OneBuild::*)() const noexcept);
UNINA_METHOD(IPluginV3OneBuild, getWorkspaceSize,
             std::size_t (IPluginV3OneBuild::*)(Ranges, i32, Ranges, i32) const noexcept);
UNINA_METHOD(IPluginV3OneRuntime, onShapeChange,
             i32 (IPluginV3OneRuntime::*)(Descs, i32, Descs, i32) noexcept);
UNINA_METHOD(IPluginV3OneRuntime, enqueue,
             i32 (IPluginV3OneRuntime::*)(Descs, Descs, const void* const*, void* const*, void*,
                                          cudaStream_t) noexcept);
UNINA_METHOD(IPluginV3OneRuntime, attachToContext,
             IPluginV3* (IPluginV3OneRuntime::*)(IPluginResourceContext*) noexcept);
UNINA_METHOD(IPluginV3OneRuntime, getFieldsToSerialize,
             const PluginFieldCollection* (IPluginV3OneRuntime::*)() noexcept);
UNINA_METHOD(IPluginCreatorV3One, createPlugin,
             IPluginV3* (IPluginCreatorV3One::*)(const char*, const PluginFieldCollection*,
                                                 TensorRTPhase) noexcept);
UNINA_METHOD(IPluginCreatorV3One, getFieldNames,
             const PluginFieldCollection* (IPluginCreatorV3One::*)() noexcept);
UNINA_METHOD(IExprBuilder, constant,
             const IDimensionExpr* (IExprBuilder::*)(std::int64_t) noexcept);

static_assert(std::is_base_of_v<IPluginCapability, IPluginV3OneCore>);
static_assert(std::is_base_of_v<IPluginCapability, IPluginV3OneBuild>);
static_assert(std::is_base_of_v<IPluginCapability, IPluginV3OneRuntime>);
static_assert(std::is_base_of_v<IPluginCreatorInterface, IPluginCreatorV3One>);
static_assert(std::has_virtual_destructor_v<IPluginV3>);  // TensorRT deletes what we made

static_assert(std::is_same_v<decltype(PluginField::name), const char*>);
static_assert(std::is_same_v<decltype(PluginField::data), const void*>);
static_assert(std::is_same_v<decltype(PluginField::length), i32>);
static_assert(std::is_same_v<decltype(PluginFieldCollection::nbFields), i32>);
static_assert(std::is_same_v<decltype(PluginTensorDesc::dims), Dims>);
static_assert(std::is_same_v<decltype(DynamicPluginTensorDesc::desc), PluginTensorDesc>);
static_assert(std::is_same_v<decltype(DynamicPluginTensorDesc::max), Dims>);
static_assert(std::is_same_v<decltype(DimsExprs::nbDims), i32>);
static_assert(std::is_same_v<decltype(&::getPluginRegistry), IPluginRegistry* (*)() noexcept>);

static_assert(static_cast<int>(DataType::kINT32) == 3);
static_assert(static_cast<int>(PluginFieldType::kFLOAT32) == 1);
static_assert(static_cast<int>(PluginFieldType::kINT32) == 5);
static_assert(static_cast<int>(PluginFieldType::kUNKNOWN) == 8);
static_assert(static_cast<int>(PluginCapabilityType::kCORE) == 0);
static_assert(static_cast<int>(PluginCapabilityType::kBUILD) == 1);
static_assert(static_cast<int>(PluginCapabilityType::kRUNTIME) == 2);
static_assert(static_cast<int>(TensorRTPhase::kBUILD) == 0);
static_assert(static_cast<int>(TensorRTPhase::kRUNTIME) == 1);

}  // namespace contract
