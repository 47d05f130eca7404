// GStreamer's application manual, "Pipeline manipulation", and the reference of appsink.
#include "source_gstreamer.h"

#include <gst/app/gstappsink.h>
#include <gst/gst.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "printable.h"
#include "source_gstreamer_frame.h"
#include "unina/error.h"

namespace unina {
namespace {

constexpr GstClockTime kPatience = 5 * GST_SECOND;  // for the first picture, and for each next one
// In the camera's own memory only where nothing else is offered: what worked stays as it was.
constexpr const char* kSink =
    " ! appsink name=unina_sink max-buffers=1 drop=true sync=false enable-last-sample=false "
    "caps=\"video/x-raw,format={BGR,RGBA,NV12,UYVY};"
    "video/x-raw(memory:NVMM),format={NV12,RGBA,UYVY}\"";

class GstreamerSource final : public Source {
 public:
  using Source::next;

  explicit GstreamerSource(const std::string& pipeline) : name_(source_name("gst:" + pipeline)) {
    GError* failed = nullptr;
    if (gst_init_check(nullptr, nullptr, &failed) == FALSE) fail(take_message(failed));
    pipeline_ = gst_parse_launch((pipeline + kSink).c_str(), &failed);
    if (failed != nullptr) {
      close();
      fail(take_message(failed));
    }
    sink_ = gst_bin_get_by_name(GST_BIN(pipeline_), "unina_sink");
    const GstStateChangeReturn started = gst_element_set_state(pipeline_, GST_STATE_PLAYING);
    live_ = started == GST_STATE_CHANGE_NO_PREROLL;
    if (started == GST_STATE_CHANGE_FAILURE) {
      const std::string why = bus_error("cannot be started");
      close();
      fail(why);
    }
  }
  ~GstreamerSource() override {
    frames_ = {};  // before their pool goes
    close();
  }
  GstreamerSource(const GstreamerSource&) = delete;
  GstreamerSource& operator=(const GstreamerSource&) = delete;

  std::optional<Frame> next(int buffer) override {
    std::shared_ptr<const GstreamerFrame>& frame = frames_.at(static_cast<std::size_t>(buffer));
    frame.reset();
    Sample sample(gst_app_sink_try_pull_sample(GST_APP_SINK(sink_), kPatience));
    // With every picture: what nobody takes from the bus stays there for ever.
    const std::string why = bus_error("");
    if (!why.empty()) fail(why);
    if (sample == nullptr) {
      if (gst_app_sink_is_eos(GST_APP_SINK(sink_)) != FALSE) return std::nullopt;
      fail("no picture within " + std::to_string(kPatience / GST_SECOND) + " s");
    }
    Frame next;
    next.name = name_;
    next.sequence = sequence_of(gst_sample_get_buffer(sample.get()));
    next.captured_ns = captured_ns(gst_sample_get_buffer(sample.get()));
    try {
      frame = hold(std::move(sample), frames_);
    } catch (const Error& error) {
      fail(error.what());
    }
    next.image = frame->image();
    return next;
  }
  void rewind() override {
    throw Error("source " + name_ + ": a stream has no beginning to go back to");
  }
  std::optional<std::size_t> count() const override { return std::nullopt; }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw Error("source " + name_ + ": " + why);
  }

  static std::string take_message(GError* error) {
    std::string text = error != nullptr ? error->message : "unknown error";
    g_clear_error(&error);
    return text;
  }

  void close() {
    if (pipeline_ != nullptr) gst_element_set_state(pipeline_, GST_STATE_NULL);
    if (sink_ != nullptr) gst_object_unref(sink_);
    if (pipeline_ != nullptr) gst_object_unref(pipeline_);
    sink_ = pipeline_ = nullptr;
  }

  // The first error that the pipeline reported, or `otherwise`. Takes all other messages.
  std::string bus_error(const std::string& otherwise) const {
    GstBus* const bus = gst_element_get_bus(pipeline_);
    GstMessage* const message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
    gst_object_unref(bus);
    if (message == nullptr) return otherwise;
    GError* error = nullptr;
    gst_message_parse_error(message, &error, nullptr);
    gst_message_unref(message);
    return take_message(error);
  }

  // The camera's count where it has one, so that what the sink dropped is seen as a gap. What is
  // not live may count bytes.
  std::uint64_t sequence_of(GstBuffer* buffer) {
    const std::uint64_t number = delivered_++, offset = GST_BUFFER_OFFSET(buffer);
    return live_ && offset != GST_BUFFER_OFFSET_NONE ? offset : number;
  }

  // A live pipeline stamps with its clock's time since it began to play; the default clock is
  // CLOCK_MONOTONIC. A file's stamps say nothing about now.
  std::int64_t captured_ns(GstBuffer* buffer) const {
    if (!live_ || !GST_BUFFER_PTS_IS_VALID(buffer)) return 0;
    GstClock* const clock = gst_element_get_clock(pipeline_);
    if (clock == nullptr) return 0;
    GstClockType type = GST_CLOCK_TYPE_OTHER;
    if (GST_IS_SYSTEM_CLOCK(clock)) g_object_get(clock, "clock-type", &type, nullptr);
    gst_object_unref(clock);
    if (type != GST_CLOCK_TYPE_MONOTONIC) return 0;
    return static_cast<std::int64_t>(gst_element_get_base_time(pipeline_) + GST_BUFFER_PTS(buffer));
  }

  std::string name_;  // of every picture and error
  GstElement* pipeline_ = nullptr;
  GstElement* sink_ = nullptr;
  bool live_ = false;
  std::uint64_t delivered_ = 0;
  GstreamerFrames frames_;
};

}  // namespace

std::unique_ptr<Source> open_gstreamer(const std::string& pipeline) {
  return std::make_unique<GstreamerSource>(pipeline);
}

}  // namespace unina
