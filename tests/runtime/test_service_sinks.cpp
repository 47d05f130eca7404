// What leaves the service: messages as documented, a ring that shows a reader what was overwritten,
// and readers that are dropped and never waited for.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "service/message.h"
#include "service/metrics.h"
#include "service/ring_sink.h"
#include "service/socket_sink.h"
#include "unina/error.h"

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class Sinks : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "unina-sinks-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder = pattern;
  }
  void TearDown() override { fs::remove_all(folder); }
  std::string path(const char* name) const { return (folder / name).string(); }

  fs::path folder;
  unina::Detections detections = {{{1.5f, 2.0f, 30.25f, 40.0f}, 0.91f, 1}, {{0, 0, 1, 1}, 0.5f, 0}};
};

unina::Report report_of(std::uint64_t frame, const unina::Detections& detections) {
  unina::Report report;
  report.frame = frame;
  report.source = "a.png";
  report.width = 1280;
  report.height = 720;
  report.captured_ns = 1;
  report.submitted_ns = 2;
  report.done_ns = 3;
  report.captured_realtime_ns = 4;
  report.drops = 5;
  report.gaps = 6;
  report.detections = &detections;
  return report;
}

TEST_F(Sinks, AMessageIsOneLineOfTheDocumentedJson) {
  unina::MessageWriter writer({"blue", "ye\"llow"}, 10);
  unina::Report report = report_of(7, detections);
  report.source = "a\"\n\xff\xc3\xa9";
  report.stale = true;
  const std::string line(writer.write(report));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(Json::parse(line),
            Json::parse(R"({"schema": 2, "frame": 7, "source": "a\"\n\ufffd\u00e9", "width": 1280,
              "height": 720, "captured_ns": 1, "submitted_ns": 2, "done_ns": 3,
              "captured_realtime_ns": 4, "drops": 5, "gaps": 6, "stale": true, "detections": [
              {"class": "ye\"llow", "class_id": 1, "score": 0.91, "box": [1.5, 2.0, 30.25, 40.0]},
              {"class": "blue", "class_id": 0, "score": 0.5, "box": [0, 0, 1, 1]}]})"));
}

TEST_F(Sinks, TheLongestMessageFitsItsBuffer) {
  const std::string name(80, '\x01');
  unina::MessageWriter writer({name}, 50);
  const float worst = -1.17549435e-38f;
  const unina::Detections many(60, {{worst, worst, worst, worst}, worst, 0});
  unina::Report report = report_of(UINT64_MAX, many);
  const std::string source(1000, '\x02');
  report.source = source;
  report.captured_ns = report.submitted_ns = report.done_ns = report.captured_realtime_ns =
      INT64_MIN;
  report.drops = report.gaps = UINT64_MAX;
  report.width = report.height = INT32_MIN;
  const Json message = Json::parse(writer.write(report));
  EXPECT_EQ(message["detections"].size(), 50u);
  EXPECT_EQ(message["source"].get<std::string>().size(), unina::MessageWriter::kSourceBytes);
}

// A ring's file as a reader maps it.
class MappedRing {
 public:
  explicit MappedRing(const std::string& path) {
    const int file = open(path.c_str(), O_RDONLY);
    bytes_ = static_cast<std::size_t>(lseek(file, 0, SEEK_END));
    memory_ = mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    copy_.resize(header().slot_bytes / 8);
  }
  ~MappedRing() { munmap(memory_, bytes_); }
  const unina_ring_header& header() const {
    return *static_cast<const unina_ring_header*>(memory_);
  }
  const unina_ring_slot* read(std::uint64_t n) {
    if (unina_ring_read(memory_, n, copy_.data()) == 0) return nullptr;
    return reinterpret_cast<const unina_ring_slot*>(copy_.data());
  }
  const unina_ring_detection* detections() const {
    return reinterpret_cast<const unina_ring_detection*>(copy_.data() +
                                                         sizeof(unina_ring_slot) / 8);
  }
  std::uint64_t written() const { return unina_ring_written(memory_); }

 private:
  void* memory_;
  std::size_t bytes_;
  std::vector<std::uint64_t> copy_;
};

TEST_F(Sinks, TheRingHoldsTheNewestMessagesAndSaysWhatIsGone) {
  unina::RingSink ring(path("ring"), 4, 10, {"blue", std::string(40, 'y')}, 0640);
  MappedRing reader(path("ring"));
  EXPECT_EQ(std::string(reader.header().magic, 8), UNINA_RING_MAGIC);
  EXPECT_EQ(reader.header().class_count, 2u);
  EXPECT_STREQ(reader.header().class_names[1], std::string(31, 'y').c_str());
  EXPECT_EQ(reader.read(0), nullptr);
  for (std::uint64_t n = 0; n < 6; ++n) ring.write(report_of(100 + n, detections));
  EXPECT_EQ(reader.written(), 6u);
  EXPECT_EQ(reader.read(0), nullptr);
  EXPECT_EQ(reader.read(1), nullptr);
  EXPECT_EQ(reader.read(6), nullptr);
  for (std::uint64_t n = 2; n < 6; ++n) {
    const unina_ring_slot* slot = reader.read(n);
    ASSERT_NE(slot, nullptr);
    EXPECT_EQ(slot->frame, 100 + n);
    EXPECT_EQ(slot->captured_ns, 1);
    EXPECT_EQ(slot->submitted_ns, 2);
    EXPECT_EQ(slot->done_ns, 3);
    EXPECT_EQ(slot->captured_realtime_ns, 4);
    EXPECT_EQ(slot->drops, 5u);
    EXPECT_EQ(slot->gaps, 6u);
    EXPECT_EQ(slot->width, 1280u);
    EXPECT_EQ(slot->height, 720u);
    ASSERT_EQ(slot->detection_count, 2u);
    EXPECT_EQ(reader.detections()[0].score, 0.91f);
    EXPECT_EQ(reader.detections()[0].x1, 30.25f);
    EXPECT_EQ(reader.detections()[1].class_id, 0);
  }
}

TEST_F(Sinks, ANewRingLeavesOldReadersTheirsAndACloseIsSeen) {
  {
    const unina::RingSink killed(path("ring"), 4, 10, {"a"}, 0640);
    fs::create_hard_link(path("ring"), path("left"));  // stays, as after kill -9
  }
  fs::rename(path("left"), path("ring"));
  MappedRing old(path("ring"));
  {
    unina::RingSink second(path("ring"), 8, 10, {"a"}, 0640);
    MappedRing reader(path("ring"));
    EXPECT_EQ(old.header().slot_count, 4u);
    EXPECT_EQ(reader.header().slot_count, 8u);
    EXPECT_EQ(reader.header().closed, 0u);
  }
  EXPECT_EQ(old.header().closed, 1u);
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST_F(Sinks, ARingHasOneWriterAndNobodyElseCanWriteIt) {
  const unina::RingSink ring(path("ring"), 4, 10, {"a"}, 0666);
  EXPECT_THROW(unina::RingSink(path("ring"), 4, 10, {"a"}, 0666), unina::Error);
  struct stat status{};
  ASSERT_EQ(stat(path("ring").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0644u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator()), 1);
}

TEST_F(Sinks, WhatStandsAtThePathMeanwhileStays) {
  {
    const unina::RingSink ring(path("ring"), 4, 10, {"a"}, 0640);
    const unina::SocketSink sink(path("socket"), 0640);
    for (const char* name : {"ring", "socket"}) {
      fs::remove(path(name));
      std::ofstream(path(name)) << "another's";
    }
  }
  EXPECT_TRUE(fs::is_regular_file(path("ring")));
  EXPECT_TRUE(fs::is_regular_file(path("socket")));
}

TEST_F(Sinks, AReaderNeverTakesAHalfWrittenMessageForAWholeOne) {
  unina::RingSink ring(path("ring"), 2, 64, {"a"}, 0640);
  std::atomic<bool> stop{false};
  std::thread writing([&] {
    unina::Detections many;
    for (std::uint64_t n = 0; !stop; ++n) {
      many.assign(1 + n % 64, {{static_cast<float>(n % 1000), 0, 0, 0}, 0, 0});
      ring.write(report_of(n, many));
    }
  });
  MappedRing reader(path("ring"));
  std::uint64_t whole = 0;
  while (whole < 2000) {
    const std::uint64_t written = reader.written();
    if (written == 0) continue;
    const unina_ring_slot* slot = reader.read(written - 1);
    if (slot == nullptr) continue;
    ++whole;
    ASSERT_EQ(slot->frame, written - 1);
    ASSERT_EQ(slot->detection_count, 1 + slot->frame % 64);
    for (std::uint32_t i = 0; i < slot->detection_count; ++i) {
      ASSERT_EQ(reader.detections()[i].x0, static_cast<float>(slot->frame % 1000));
    }
  }
  stop = true;
  writing.join();
}

TEST_F(Sinks, SomethingElseAtTheRingsPathStays) {
  fs::create_directory(folder / "ring");
  EXPECT_THROW(unina::RingSink(path("ring"), 4, 10, {"a"}, 0640), unina::Error);
  EXPECT_THROW(unina::RingSink(path("none/ring"), 4, 10, {"a"}, 0640), unina::Error);
  EXPECT_TRUE(fs::is_directory(folder / "ring"));
}

std::string receive(int reader) {
  char text[256];
  const ssize_t bytes = recv(reader, text, sizeof text, MSG_DONTWAIT);
  return bytes < 0 ? "nothing" : std::string(text, static_cast<std::size_t>(bytes));
}

TEST_F(Sinks, EveryReaderGetsEveryMessageAndOneThatDoesNotReadIsDropped) {
  unina::SocketSink sink(path("socket"), 0660);
  const int good = unina::connect_unix(path("socket"), SOCK_SEQPACKET);
  const int slow = unina::connect_unix(path("socket"), SOCK_SEQPACKET);
  const int leaving = unina::connect_unix(path("socket"), SOCK_SEQPACKET);
  sink.accept();
  EXPECT_EQ(sink.readers(), 3);
  close(leaving);
  const std::string message(200, 'm');
  int dropped = 0;
  for (int i = 0; i < 100000 && dropped == 0; ++i) {
    dropped = sink.send(message);
    ASSERT_EQ(receive(good), message);
  }
  EXPECT_EQ(dropped, 1);
  EXPECT_EQ(sink.readers(), 1);
  close(good);
  close(slow);
}

TEST_F(Sinks, ReadersThatLeftTakeNobodysPlaceEvenWhenNoMessageComes) {
  unina::SocketSink sink(path("socket"), 0660);
  for (std::size_t i = 0; i < unina::SocketSink::kMostReaders + 3; ++i) {
    close(unina::connect_unix(path("socket"), SOCK_SEQPACKET));
    sink.accept();
  }
  const int reader = unina::connect_unix(path("socket"), SOCK_SEQPACKET);
  sink.accept();
  EXPECT_EQ(sink.readers(), 1);
  sink.send("message");
  EXPECT_EQ(receive(reader), "message");
  close(reader);
}

TEST_F(Sinks, ASocketThatADeadProcessLeftIsReplacedALivingOneIsNot) {
  {
    const int abandoned = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    unina::SocketSink other(path("other"), 0660);
    fs::create_hard_link(path("other"), path("socket"));  // stays when `other` goes
    close(abandoned);
  }
  unina::SocketSink sink(path("socket"), 0640);
  struct stat status{};
  ASSERT_EQ(stat(path("socket").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0640u);
  EXPECT_THROW(unina::SocketSink(path("socket"), 0660), unina::Error);
  EXPECT_THROW(unina::SocketSink(std::string(200, 'p'), 0660), unina::Error);
}

TEST(Metrics, AreWhatPrometheusReads) {
  unina::Metrics metrics({"blue \"cone\""});
  metrics.infer.record(500'000);  // on a bound: within it
  metrics.infer.record(700'000);
  metrics.infer.record(5'000'000'000);  // beyond all
  unina::Metrics::count(metrics.detections[0], 3);
  const std::string text = metrics.prometheus();
  const auto has = [&](const std::string& line) {
    return text.find("\n" + line + "\n") != std::string::npos;
  };
  EXPECT_TRUE(has("# TYPE unina_stage_seconds histogram"));
  EXPECT_TRUE(has("unina_stage_seconds_bucket{stage=\"infer\",le=\"0.00025\"} 0"));
  EXPECT_TRUE(has("unina_stage_seconds_bucket{stage=\"infer\",le=\"0.0005\"} 1"));
  EXPECT_TRUE(has("unina_stage_seconds_bucket{stage=\"infer\",le=\"1\"} 2"));
  EXPECT_TRUE(has("unina_stage_seconds_bucket{stage=\"infer\",le=\"+Inf\"} 3"));
  EXPECT_TRUE(has("unina_stage_seconds_sum{stage=\"infer\"} 5.0012"));
  EXPECT_TRUE(has("unina_stage_seconds_count{stage=\"infer\"} 3"));
  EXPECT_TRUE(has("unina_detections_total{class=\"blue \\\"cone\\\"\"} 3"));
}

TEST(Metrics, ADeviceThatTheyDoNotKnowIsAnErrorAndNotTheHost) {
  unina::Metrics metrics({"cone"});
  for (const std::string name : {"dla0", "dla1", "gpu", "host"}) {
    EXPECT_EQ(metrics.device(name).name, name);
  }
  EXPECT_THROW(metrics.device("dla2"), unina::Error);
}

TEST(Metrics, PercentilesAreOfTheNewestTimes) {
  unina::Histogram times;
  EXPECT_EQ(times.recent_percentile_ms(99), 0.0);
  for (int i = 0; i < 1000; ++i) times.record(1'000'000'000);
  for (int i = 1; i <= 512; ++i) times.record(i * 1000);
  EXPECT_DOUBLE_EQ(times.recent_percentile_ms(50), 0.256);
  EXPECT_DOUBLE_EQ(times.recent_percentile_ms(99), 0.507);
}

}  // namespace
