// Pictures in a Jetson's NVMM memory are read where they lie, and are given back: a real GStreamer
// pipeline, the element standinnvmm, and the stand-in of libnvbufsurface.
#include <gst/app/gstappsink.h>
#include <gst/gst.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "nvmm_planes.h"
#include "source_gstreamer_frame.h"
#include "standin.h"
#include "unina/error.h"
#include "unina/letterbox.h"
#include "unina/source.h"

namespace {

using unina::Frame;
using unina::ImageView;
using unina::PixelFormat;
using unina::Source;

constexpr int kWidth = 128, kHeight = 72;

struct Format {
  const char* name;
  PixelFormat format;
  std::size_t bytes;
};
constexpr std::array<Format, 3> kFormats = {
    {{"NV12", PixelFormat::kNv12, std::size_t{kWidth} * kHeight * 3 / 2},
     {"RGBA", PixelFormat::kRgba, std::size_t{kWidth} * kHeight * 4},
     {"UYVY", PixelFormat::kUyvy, std::size_t{kWidth} * kHeight * 2}}};

// The picture's own bytes, without the gaps between rows.
std::vector<std::uint8_t> packed(const ImageView& image) {
  std::vector<std::uint8_t> out;
  const auto add = [&](const std::uint8_t* plane, std::size_t stride, std::size_t bytes, int rows) {
    for (int y = 0; y < rows; ++y, plane += stride) out.insert(out.end(), plane, plane + bytes);
  };
  add(image.data, image.row_stride, image.least_row_stride(), image.height);
  if (image.format == PixelFormat::kNv12) {
    add(image.chroma, image.chroma_stride, static_cast<std::size_t>(image.width), image.height / 2);
  }
  return out;
}

std::vector<std::int8_t> letterboxed(const ImageView& image) {
  const unina::TensorFormat tensor =
      unina::TensorFormat::packed(unina::DataType::kInt8, unina::Layout::kHwc4, 3, 96, 160, 1.0f);
  std::vector<std::int8_t> out(tensor.bytes);
  unina::Letterbox letterbox(image.width, image.height, unina::PixelSpec{}, tensor, image.format);
  letterbox.write(image, out.data());
  return out;
}

class Nvmm : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    gst_init(nullptr, nullptr);
    GError* error = nullptr;
    ASSERT_NE(gst_plugin_load_file(UNINA_STANDIN_NVMM, &error), nullptr) << error->message;
  }
  void SetUp() override {
    ASSERT_EQ(standin_set_faults(""), nullptr);
    file_ = testing::TempDir() + "nvmm-" + std::to_string(getpid()) + ".raw";
  }
  void TearDown() override {
    std::remove(file_.c_str());
    EXPECT_STREQ(standin_violations(), "");
    EXPECT_STREQ(standin_live_description(), "");
    standin_clear_violations();
    standin_forget_objects();
  }

  // Noise in a file; each picture another.
  std::vector<std::vector<std::uint8_t>> pictures(const Format& format, int count) {
    std::mt19937 random(7);
    std::ofstream file(file_, std::ios::binary);
    std::vector<std::vector<std::uint8_t>> made;
    for (int i = 0; i < count; ++i) {
      made.emplace_back(format.bytes);
      for (std::uint8_t& byte : made.back()) byte = static_cast<std::uint8_t>(random() >> 13);
      file.write(reinterpret_cast<const char*>(made.back().data()),
                 static_cast<std::streamsize>(format.bytes));
    }
    return made;
  }
  std::string pipeline(const Format& format, const std::string& behind) const {
    return "filesrc location=" + file_ + " blocksize=" + std::to_string(format.bytes) +
           " ! video/x-raw,format=" + format.name + ",width=" + std::to_string(kWidth) +
           ",height=" + std::to_string(kHeight) + ",framerate=30/1" + behind;
  }
  std::unique_ptr<Source> open(const Format& format, const std::string& behind) const {
    return unina::open_source("gst:" + pipeline(format, behind));
  }
  std::string error_of(const Format& format, const std::string& behind) const {
    try {
      open(format, behind)->next();
    } catch (const unina::Error& error) {
      return error.what();
    }
    return "none";
  }

  std::string file_;
};

TEST_F(Nvmm, EveryFormatIsReadWhereItLiesAndEqualsTheSameInSystemMemory) {
  for (const Format& format : kFormats) {
    const std::vector<std::uint8_t> expected = pictures(format, 1).front();
    const std::unique_ptr<Source> system = open(format, "");
    const std::unique_ptr<Source> nvmm = open(format, " ! standinnvmm");
    const std::optional<Frame> from_system = system->next(), from_nvmm = nvmm->next();
    ASSERT_TRUE(from_system && from_nvmm) << format.name;
    const ImageView& image = from_nvmm->image;
    EXPECT_EQ(image.format, format.format);
    EXPECT_EQ(image.row_stride % 256, 0u) << "of the surface";
    EXPECT_TRUE(standin_nvbuf_plane_at(image.data)) << "a copy of it";
    if (format.format == PixelFormat::kNv12) {
      EXPECT_TRUE(standin_nvbuf_plane_at(image.chroma)) << "a copy of it";
    }
    EXPECT_EQ(packed(image), expected) << format.name;
    EXPECT_EQ(packed(from_system->image), expected) << format.name;
    EXPECT_EQ(letterboxed(image), letterboxed(from_system->image)) << format.name;
  }
}

TEST_F(Nvmm, EveryMemoryThatAJetsonsCpuCanMapIsTaken) {
  const std::vector<std::uint8_t> expected = pictures(kFormats[0], 1).front();
  for (const char* const type : {"0", "4", "5"}) {  // default, surface array, handle
    const auto source = open(kFormats[0], std::string(" ! standinnvmm memory-type=") + type);
    EXPECT_EQ(packed(source->next()->image), expected) << type;
  }
}

TEST_F(Nvmm, APictureStaysMappedUntilItsBufferIsAskedAgainAndNoMoreAreHeldThanBuffers) {
  const Format& format = kFormats[0];
  pictures(format, 40);
  const std::unique_ptr<Source> source = open(format, " ! identity sleep-time=5000 ! standinnvmm");
  std::array<std::optional<Frame>, unina::kSourceBuffers> held;
  std::array<std::vector<std::uint8_t>, unina::kSourceBuffers> bytes;
  for (int number = 0; number < 8; ++number) {
    const auto buffer = static_cast<std::size_t>(number % unina::kSourceBuffers);
    held[buffer] = source->next(static_cast<int>(buffer));
    ASSERT_TRUE(held[buffer]);
    bytes[buffer] = packed(held[buffer]->image);
    EXPECT_EQ(standin_live_objects(), std::min(number + 1, unina::kSourceBuffers));
    for (std::size_t i = 0; i < held.size(); ++i) {
      if (!held[i]) continue;
      EXPECT_EQ(packed(held[i]->image), bytes[i]) << "was written to, or unmapped";
    }
  }
  EXPECT_EQ(standin_calls("NvBufSurfaceMap"), 8);
  EXPECT_EQ(standin_calls("NvBufSurfaceSyncForCpu"), 8);
  EXPECT_EQ(standin_calls("NvBufSurfaceUnMap"), 4);
}

TEST_F(Nvmm, AFaultOfTheLibraryIsOneErrorThatLeavesNothingMapped) {
  struct Case {
    const char *plan, *why;
    int unmaps;
  };
  const Format& format = kFormats[0];
  pictures(format, 1);
  for (const Case& one :
       {Case{"NvBufSurfaceMap:1=fail", "NvBufSurfaceMap: -1", 0},
        Case{"NvBufSurfaceMap:1=corrupt", "NvBufSurfaceMap: success, but plane 0 of", 1},
        Case{"NvBufSurfaceSyncForCpu:1=fail", "NvBufSurfaceSyncForCpu: -1", 1},
        Case{"NvBufSurfaceSyncForCpu:1=late", "NvBufSurfaceSyncForCpu: -1", 1}}) {
    ASSERT_EQ(standin_set_faults(one.plan), nullptr);
    const std::string error = error_of(format, " ! standinnvmm");
    EXPECT_EQ(error.rfind("source gst:", 0), 0u) << error;
    EXPECT_NE(error.find(one.why), std::string::npos) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
    EXPECT_EQ(standin_calls("NvBufSurfaceUnMap"), one.unmaps) << one.plan;
    EXPECT_EQ(standin_live_objects(), 0) << one.plan;
    EXPECT_TRUE(open(format, " ! standinnvmm")->next()) << "it is opened again";
  }
}

TEST_F(Nvmm, WhatTheCpuCannotReadIsRefusedBeforeItIsMappedAndTheErrorTellsTheFix) {
  const Format& format = kFormats[0];
  pictures(format, 1);
  const std::array<std::array<const char*, 2>, 4> cases = {
      {{"layout=1", "block-linear layout"},
       {"memory-type=2", "memory of NvBufSurface's type 2"},
       {"color-format=8", "colour format 8"},
       {"color-format=29", "colour format 29"}}};
  for (const auto& [property, why] : cases) {
    const std::string error = error_of(format, std::string(" ! standinnvmm ") + property);
    EXPECT_NE(error.find(why), std::string::npos) << error;
    EXPECT_NE(error.find("nvvidconv bl-output=false ! video/x-raw(memory:NVMM),format=NV12"),
              std::string::npos)
        << error;
    EXPECT_EQ(standin_calls("NvBufSurfaceMap"), 0);
  }
}

TEST_F(Nvmm, ASurfaceTooSmallForItsPictureIsRefused) {
  pictures(kFormats[0], 1);
  const std::string error = error_of(kFormats[0], " ! standinnvmm color-format=19");
  EXPECT_NE(error.find("72 rows of 256 bytes, too few for 72 of 512"), std::string::npos) << error;
  pictures(kFormats[1], 1);
  const std::string missing = error_of(kFormats[1], " ! standinnvmm color-format=6");
  EXPECT_NE(missing.find("plane 1 of an NVMM picture is missing"), std::string::npos) << missing;
}

TEST_F(Nvmm, ABufferThatComesTwiceIsMappedOnce) {
  const Format& format = kFormats[0];
  pictures(format, 1);
  GstElement* const playing = gst_parse_launch(
      (pipeline(format, " ! standinnvmm ! appsink name=s enable-last-sample=false")).c_str(),
      nullptr);
  ASSERT_NE(playing, nullptr);
  gst_element_set_state(playing, GST_STATE_PLAYING);
  GstElement* const sink = gst_bin_get_by_name(GST_BIN(playing), "s");
  unina::Sample first(gst_app_sink_pull_sample(GST_APP_SINK(sink)));
  ASSERT_NE(first, nullptr);
  GstBuffer* const again = gst_buffer_copy(gst_sample_get_buffer(first.get()));
  unina::Sample second(gst_sample_new(again, gst_sample_get_caps(first.get()), nullptr, nullptr));
  gst_buffer_unref(again);
  {
    unina::GstreamerFrames held;
    held[0] = unina::hold(std::move(first), held);
    held[1] = unina::hold(std::move(second), held);
    EXPECT_EQ(held[0], held[1]);
    held[0].reset();
    EXPECT_EQ(standin_live_objects(), 1) << "the other one is still read";
    held[1].reset();
    EXPECT_EQ(standin_live_objects(), 0);
  }
  gst_element_set_state(playing, GST_STATE_NULL);
  gst_object_unref(sink);
  gst_object_unref(playing);
}

}  // namespace
