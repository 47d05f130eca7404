// What waits for a broker: the newest messages, in order, in memory that is taken once.
#include "service/outbox.h"

#include <gtest/gtest.h>

#include <string>

namespace {

TEST(Outbox, TheOldestGoWhereThereIsNoRoomAndTheOrderStays) {
  unina::Outbox outbox;
  const int most = static_cast<int>(unina::Outbox::kMost);
  int dropped = 0;
  for (int n = 0; n < 3 * most + 5; ++n) dropped += outbox.put(std::to_string(n)) ? 0 : 1;
  EXPECT_EQ(dropped, 2 * most + 5);
  std::string message;
  for (int n = 2 * most + 5; n < 3 * most + 5; ++n) {
    ASSERT_TRUE(outbox.take(message));
    EXPECT_EQ(message, std::to_string(n));
  }
  EXPECT_FALSE(outbox.take(message));
  EXPECT_TRUE(outbox.put("again"));
  EXPECT_EQ(outbox.clear(), 1u);
  EXPECT_FALSE(outbox.take(message));
}

}  // namespace
