// The mailbox hands on the newest picture and counts the rest; the capturing thread counts gaps and
// opens a lost source again.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "service/capture.h"
#include "service/log.h"
#include "service/mailbox.h"
#include "service/metrics.h"
#include "unina/error.h"

namespace {

using namespace std::chrono_literals;

TEST(Mailbox, TheNewestPictureWinsAndTheOthersAreDrops) {
  unina::Mailbox mailbox;
  for (std::uint64_t id = 0; id < 5; ++id) {
    mailbox.filling().id = id;
    mailbox.put();
  }
  EXPECT_EQ(mailbox.drops(), 4u);
  const unina::Captured* taken = mailbox.take(0ms);
  ASSERT_NE(taken, nullptr);
  EXPECT_EQ(taken->id, 4u);
  EXPECT_EQ(mailbox.take(0ms), nullptr);
  mailbox.give_back(taken);
}

TEST(Mailbox, WhatIsInWorkIsNeverFilledWhicheverIsGivenBackFirst) {
  unina::Mailbox mailbox;
  std::vector<const unina::Captured*> in_work;
  for (int i = 0; i < 60; ++i) {
    mailbox.filling().id = static_cast<std::uint64_t>(i);
    mailbox.put();
    if (i % 3 == 0) in_work.push_back(mailbox.take(0ms));
    ASSERT_EQ(std::count(in_work.begin(), in_work.end(), &mailbox.filling()), 0);
    if (in_work.size() < 2) continue;
    ASSERT_LT(in_work[0]->id, in_work[1]->id);
    const auto gone = in_work.begin() + i % 2;
    mailbox.give_back(*gone);
    in_work.erase(gone);
  }
}

TEST(Mailbox, AWakeIsNotLostWhenNobodyWaitsYet) {
  unina::Mailbox mailbox;
  mailbox.wake();
  EXPECT_EQ(mailbox.take(1h), nullptr);
  EXPECT_EQ(mailbox.take(1ms), nullptr);  // once
}

TEST(Mailbox, APictureThatIsGivenBackLetsGoOfItsSource) {
  unina::Mailbox mailbox;
  const std::shared_ptr<unina::Source> source(nullptr, [](unina::Source*) {});
  mailbox.filling().source = source;
  mailbox.put();
  const unina::Captured* taken = mailbox.take(0ms);
  EXPECT_EQ(source.use_count(), 2);
  mailbox.give_back(taken);
  EXPECT_EQ(source.use_count(), 1);
}

TEST(Mailbox, CloseWakesTheDetectorAfterTheLastPicture) {
  unina::Mailbox mailbox;
  mailbox.filling().id = 7;
  mailbox.put();
  mailbox.close();
  ASSERT_NE(mailbox.take(1h), nullptr);
  EXPECT_EQ(mailbox.take(1h), nullptr);
}

TEST(Mailbox, TwoThreadsLoseNothingButDrops) {
  constexpr std::uint64_t kPictures = 20000;
  unina::Mailbox mailbox;
  std::thread capturing([&] {
    for (std::uint64_t id = 0; id < kPictures; ++id) {
      mailbox.filling().id = id;
      mailbox.filling().captured_ns = static_cast<std::int64_t>(id) * 3;
      mailbox.put();
    }
    mailbox.close();
  });
  std::uint64_t taken = 0, next = 0;
  while (const unina::Captured* one = mailbox.take(1h)) {
    ASSERT_GE(one->id, next);
    ASSERT_EQ(one->captured_ns, static_cast<std::int64_t>(one->id) * 3);
    next = one->id + 1;
    ASSERT_EQ(taken + one->drops, one->id) << "every missing number is accounted for";
    ++taken;
    mailbox.give_back(one);
  }
  capturing.join();
  EXPECT_EQ(next, kPictures);
  EXPECT_EQ(taken + mailbox.drops(), kPictures);
}

// Delivers every other number, and is lost after ten pictures.
class Flaky final : public unina::Source {
 public:
  explicit Flaky(std::atomic<int>& open) : open_(open) { ++open_; }
  ~Flaky() override { --open_; }
  std::optional<unina::Frame> next(int) override {
    if (at_ == 10) throw unina::Error("camera gone");
    std::this_thread::sleep_for(200us);
    return unina::Frame{"", {&pixel_, 1, 1, 3}, 2 * at_++, 0};
  }
  void rewind() override {}
  std::optional<std::size_t> count() const override { return std::nullopt; }

 private:
  std::atomic<int>& open_;
  std::uint64_t at_ = 0;
  std::uint8_t pixel_ = 0;
};

TEST(Capture, ALostSourceIsClosedAndOpenedAgainAndGapsAreCounted) {
  unina::Mailbox mailbox;
  unina::Metrics metrics({});
  unina::Log log(unina::LogLevel::kError, unina::LogFormat::kText);
  std::atomic<int> open{0}, most{0};
  unina::Capture capture({"flaky", 1ms, 2ms}, mailbox, metrics, log, [&](const std::string&) {
    auto source = std::make_unique<Flaky>(open);
    most = std::max(most.load(), open.load());
    return source;
  });
  std::uint64_t next = 0;
  while (metrics.source_lost < 3) {
    if (const unina::Captured* one = mailbox.take(10ms)) {
      EXPECT_GE(one->id, next);  // counted on over a lost source
      next = one->id + 1;
      mailbox.give_back(one);
    }
  }
  EXPECT_TRUE(capture.stop(10s));
  EXPECT_GE(metrics.captured, 30u);
  EXPECT_GE(metrics.gaps, 27u);
  EXPECT_LE(most, 2);
}

// Delivers one good picture, then one whose rows are shorter than its width.
class Broken final : public unina::Source {
 public:
  std::optional<unina::Frame> next(int) override {
    return unina::Frame{"", {pixels_.data(), 2, 1, at_ == 0 ? 6u : 3u}, at_++, 0};
  }
  void rewind() override {}
  std::optional<std::size_t> count() const override { return std::nullopt; }

 private:
  std::array<std::uint8_t, 6> pixels_{};
  std::uint64_t at_ = 0;
};

TEST(Capture, APictureThatCannotBeIsALostSourceAndNeverReachesTheDetector) {
  unina::Mailbox mailbox;
  unina::Metrics metrics({});
  unina::Log log(unina::LogLevel::kError, unina::LogFormat::kText);
  unina::Capture capture({"broken", 1ms, 2ms}, mailbox, metrics, log,
                         [](const std::string&) { return std::make_unique<Broken>(); });
  while (metrics.source_lost < 3) std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(capture.stop(10s));
  EXPECT_NE(capture.trouble().find("rows are shorter"), std::string::npos);
  while (const unina::Captured* one = mailbox.take(0ms)) {
    EXPECT_EQ(one->frame.image.row_stride, 6u);
    mailbox.give_back(one);
  }
}

TEST(Capture, ATroubleIsOneLine) {
  unina::Mailbox mailbox;
  unina::Metrics metrics({});
  unina::Log log(unina::LogLevel::kError, unina::LogFormat::kText);
  unina::Capture capture({"bad", 1ms, 2ms}, mailbox, metrics, log,
                         [](const std::string&) -> std::unique_ptr<unina::Source> {
                           throw unina::Error("gone\nREADY=1");
                         });
  while (capture.attempts() < 2) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(capture.trouble(), "gone READY=1");  // systemd reads lines
}

TEST(Capture, AnAbsentSourceIsTriedAgain) {
  unina::Mailbox mailbox;
  unina::Metrics metrics({});
  unina::Log log(unina::LogLevel::kError, unina::LogFormat::kText);
  unina::Capture capture(
      {"none", 1ms, 2ms}, mailbox, metrics, log,
      [](const std::string&) -> std::unique_ptr<unina::Source> { throw unina::Error("absent"); });
  while (capture.attempts() < 5) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(metrics.captured, 0u);
  EXPECT_TRUE(capture.stop(10s));
}

}  // namespace
