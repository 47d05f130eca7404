// Two workers at a time: answers keep the order of the pictures, an error belongs to its picture,
// and nobody waits for a turn that cannot come.
#include "turns.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <string>

#include "unina/dla_options.h"
#include "unina/error.h"

namespace unina {
namespace {

using Numbers = Turns<int, std::string>;

// A worker whose answer is what the function returns.
template <typename Answer>
Numbers::Work work_of(Answer answer) {
  return [answer](int n, std::string& result) { result = answer(n); };
}

TEST(Turns, AnswersComeInTheOrderOfThePictures) {
  std::atomic<int> slow{0}, fast{0};
  const auto dawdle = work_of([&](int n) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    ++slow;
    return "a" + std::to_string(n);
  });
  const auto hurry = work_of([&](int n) {
    ++fast;
    return "b" + std::to_string(n);
  });
  Numbers turns({dawdle, hurry});
  std::vector<std::string> answers, expected;
  for (int n = 0; n < 20; ++n) {
    if (turns.under_way() == 2) answers.push_back(turns.take());
    turns.put(n);
    expected.push_back((n % 2 == 0 ? "a" : "b") + std::to_string(n));
  }
  while (turns.under_way() > 0) answers.push_back(turns.take());
  EXPECT_EQ(answers, expected);
  EXPECT_EQ(slow, 10);
  EXPECT_EQ(fast, 10);
}

// Each worker waits for the other one to have begun.
TEST(Turns, TwoWorkAtTheSameTime) {
  std::atomic<int> begun{0};
  const auto meet = work_of([&](int) {
    ++begun;
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (begun < 2 && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
    return begun == 2 ? "met" : "alone";
  });
  Numbers turns({meet, meet});
  turns.put(0);
  turns.put(1);
  EXPECT_EQ(turns.take(), "met");
  EXPECT_EQ(turns.take(), "met");
}

TEST(Turns, ASingleOneWorksInTheCallersThread) {
  const std::thread::id here = std::this_thread::get_id();
  Numbers turns(
      {work_of([&](int) { return std::this_thread::get_id() == here ? "here" : "elsewhere"; })});
  turns.put(0);
  EXPECT_EQ(turns.take(), "here");
}

TEST(Turns, AnErrorBelongsToItsPicture) {
  for (const std::size_t workers : {1u, 2u}) {
    const auto work = work_of([](int n) {
      if (n == 1) throw Error("picture 1");
      return std::to_string(n);
    });
    Numbers turns(std::vector<Numbers::Work>(workers, work));
    for (int n = 0; n < 4; ++n) {
      turns.put(n);
      if (n == 1) {
        try {
          turns.take();
          ADD_FAILURE();
        } catch (const Error& error) {
          EXPECT_STREQ(error.what(), "picture 1");
        }
      } else {
        EXPECT_EQ(turns.take(), std::to_string(n));
      }
    }
  }
}

TEST(Turns, WhatIsUnderWayIsFinishedBeforeTheEnd) {
  std::atomic<int> done{0};
  {
    const auto work = work_of([&](int) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      ++done;
      return "";
    });
    Numbers turns({work, work});
    turns.put(0);
    turns.put(1);
  }
  EXPECT_EQ(done, 2);
}

// The second piece is done before the first: done() is about the first.
TEST(Turns, DoneIsOfTheOldestAndEveryEndIsTold) {
  std::promise<void> go;
  std::shared_future<void> gone = go.get_future().share();
  std::atomic<int> told{0};
  Numbers turns({work_of([&](int) {
                   gone.wait();
                   return "slow";
                 }),
                 work_of([](int) { return "fast"; })});
  turns.when_finished([&] { ++told; });
  EXPECT_FALSE(turns.done());
  turns.put(0);
  turns.put(1);
  while (told < 1) std::this_thread::yield();
  EXPECT_FALSE(turns.done());
  go.set_value();
  while (told < 2) std::this_thread::yield();
  EXPECT_TRUE(turns.done());
  EXPECT_EQ(turns.take(), "slow");
  EXPECT_TRUE(turns.done());
  EXPECT_EQ(turns.take(), "fast");
  EXPECT_FALSE(turns.done());
}

// As after a try: the last piece may not have been told of yet when the call is changed.
TEST(Turns, WhatIsToldCanChangeBetweenPieces) {
  const auto work = work_of([](int) { return ""; });
  for (int round = 0; round < 100; ++round) {
    std::atomic<int> told{0};
    Numbers turns({work, work});
    turns.put(0);
    turns.take();
    turns.when_finished([&] { ++told; });
    turns.put(1);
    turns.take();
    while (told < 1) std::this_thread::yield();
  }
}

TEST(Turns, AResultKeepsItsMemory) {
  Turns<int, std::vector<int>> turns(
      {[](int n, std::vector<int>& result) { result.assign(static_cast<std::size_t>(n), n); }});
  turns.put(100);
  const int* const memory = turns.take().data();
  turns.put(50);
  EXPECT_EQ(turns.take().data(), memory);
}

TEST(Turns, OutOfTurnIsRefused) {
  const auto work = work_of([](int) { return ""; });
  Numbers turns({work, work});
  EXPECT_THROW(turns.take(), std::logic_error);
  turns.put(0);
  turns.put(1);
  EXPECT_THROW(turns.put(2), std::logic_error);
  turns.take();
  turns.put(2);
}

TEST(DlaOptions, CoresAndLoadablesFitEachOther) {
  const auto cores = [](const std::string& text, const std::vector<std::string>& loadables) {
    std::string list;
    for (const DlaOptions& one : dla_options(text, loadables, 70)) {
      EXPECT_EQ(one.timeout_ms, 70);
      list += std::to_string(one.core) + ":" + one.loadable + " ";
    }
    return list;
  };
  EXPECT_EQ(cores("0", {}), "0: ");
  EXPECT_EQ(cores("1", {"a"}), "1:a ");
  EXPECT_EQ(cores("both", {"a"}), "0:a 1:a ");
  EXPECT_EQ(cores("both", {"a", "b"}), "0:a 1:b ");
  for (const char* wrong : {"2", "-1", "", "both ", "01"}) {
    try {
      dla_options(wrong, {}, 70);
      ADD_FAILURE() << wrong;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("expected 0, 1 or both"), std::string::npos);
    }
  }
  EXPECT_THROW(dla_options("1", {"a", "b"}, 70), Error);
  EXPECT_THROW(dla_options("both", {"a", "b", "c"}, 70), Error);
}

}  // namespace
}  // namespace unina
