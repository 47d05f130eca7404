// From the mailbox to the sinks the service takes no memory and copies no picture: shown with the
// shipped bundle on the host engine, 1280x720 pictures, the ring and a reader at the socket.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "allocation_counter.h"
#include "service/clock.h"
#include "service/pipeline.h"
#include "unina/detector.h"

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr int kWidth = 1280, kHeight = 720;

TEST(Service, TakesNoMemoryFromMailboxToSinksOnceItIsWarm) {
  std::string folder = (fs::temp_directory_path() / "unina-memory-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  unina::Configuration configuration;
  configuration.socket = folder + "/socket";
  configuration.ring = folder + "/ring";
  unina::Mailbox mailbox;
  unina::Metrics metrics({"a", "b", "c", "d"});
  unina::Log log(unina::LogLevel::kError, unina::LogFormat::kText);
  unina::DetectorOptions options;
  options.accelerator = "host";
  options.score_threshold = 0.0f;  // every cell is a candidate
  options.threads = 2;
  auto detector = std::make_unique<unina::Detector>(UNINA_SHIPPED_BUNDLE, options);
  ASSERT_EQ(detector->manifest().classes.size(), metrics.classes.size());
  unina::Pipeline pipeline(unina::detectors_of(std::move(detector)), configuration, mailbox,
                           metrics, log, [] {});
  const int reader = unina::connect_unix(configuration.socket, SOCK_SEQPACKET);

  std::vector<std::uint8_t> pixels(kWidth * kHeight * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * i / 7);
  std::vector<char> message(1 << 20);
  std::uint64_t found = 0, counted = 1, opencv = 0;
  const auto detect = [&](int pictures) {
    for (int i = 0; i < pictures; ++i) {
      unina::Captured& slot = mailbox.filling();
      slot.frame.image = {pixels.data(), kWidth, kHeight, kWidth * 3};
      slot.captured_ns = unina::monotonic_ns();
      mailbox.put();
      ASSERT_GT(recv(reader, message.data(), message.size(), 0), 0);
    }
    found = static_cast<std::uint64_t>(metrics.last_detections.load());
  };
  detect(2);
  {
    const unina_test::AllocationCounter allocations;
    detect(5);
    counted = allocations.ours();
    opencv = allocations.opencv();
  }
  EXPECT_EQ(counted, 0u);
  EXPECT_LE(opencv, 5u) << "cv::resize takes its scratch row once a picture";
  EXPECT_GT(found, 0u);
  mailbox.close();
  EXPECT_TRUE(pipeline.ended(10s));
  close(reader);
  fs::remove_all(folder);
}

TEST(AllocationCounter, Counts) {
  const unina_test::AllocationCounter allocations;
  auto one = std::make_unique<std::vector<int>>(10);
  std::thread([&] { one->resize(1000); }).join();
  EXPECT_GE(allocations.ours(), 3u);
}

}  // namespace
