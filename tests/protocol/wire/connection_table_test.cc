// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/connection_table.h"

#include <gtest/gtest.h>

#include <vector>

#include "common/random.h"
#include "protocol/wire/wire_context.h"

namespace hemafed::wire {
namespace {

using Verdict = ConnectionTable::Verdict;

Peer PeerNumber(const std::string& user, unsigned number) {
  std::string route(5, '\0');
  for (unsigned i = 0; i < 4; ++i) route[4 - i] = static_cast<char>(number >> (8 * i));
  return {user, route};
}

TEST(ConnectionTable, ADepartureIsToldOnceAndOnlyWhenEverythingWasRead) {
  ConnectionTable table;
  const Peer peer = PeerNumber("a", 1);
  table.Accepted(7);
  EXPECT_EQ(table.Message(peer, 7, true), Verdict::kAccept);
  EXPECT_EQ(table.CurrentOf("a"), peer);
  EXPECT_TRUE(table.Closed(7));
  EXPECT_FALSE(table.IsOpen(peer.routing_id));
  EXPECT_FALSE(table.NextDeparture());
  EXPECT_EQ(table.Message(peer, 7, true), Verdict::kAccept);  // It had said this before it closed.
  table.Drained();
  EXPECT_EQ(table.NextDeparture(), peer);
  table.Drained();
  EXPECT_FALSE(table.NextDeparture());
  EXPECT_EQ(table.Message(peer, 7, true), Verdict::kEnded);
}

TEST(ConnectionTable, AMessageReadAfterItsConnectionClosedIsAcceptedAndTheDepartureFollows) {
  ConnectionTable table;
  const Peer peer = PeerNumber("a", 1);
  table.Accepted(7);
  EXPECT_FALSE(table.Closed(7));  // Nothing was known of it.
  EXPECT_EQ(table.Message(peer, 7, true), Verdict::kAccept);
  table.Drained();
  EXPECT_EQ(table.NextDeparture(), peer);
}

TEST(ConnectionTable, ANewConnectionTakesOverAfterTheOldOnesDepartureWasTold) {
  ConnectionTable table;
  const Peer old_peer = PeerNumber("a", 1), new_peer = PeerNumber("a", 2);
  table.Accepted(7);
  table.Accepted(8);
  EXPECT_EQ(table.Message(old_peer, 7, true), Verdict::kAccept);
  EXPECT_EQ(table.Message(new_peer, 8, true), Verdict::kTakesOver);
  EXPECT_EQ(table.NextDeparture(), old_peer);
  EXPECT_EQ(table.Message(new_peer, 8, true), Verdict::kAccept);
  EXPECT_EQ(table.Message(old_peer, 7, true), Verdict::kSuperseded);
  EXPECT_TRUE(table.Closed(7));
  EXPECT_EQ(table.Message(old_peer, 7, true), Verdict::kSuperseded);
  table.Drained();
  EXPECT_EQ(table.Message(old_peer, 7, true), Verdict::kEnded);
  EXPECT_FALSE(table.NextDeparture());
  EXPECT_EQ(table.CurrentOf("a"), new_peer);
}

TEST(ConnectionTable, WhatADeadConnectionLeftDoesNotDisturbALiveOneOnTheSameDescriptor) {
  ConnectionTable table;
  const Peer dead = PeerNumber("a", 1), live = PeerNumber("a", 2);
  table.Accepted(7);
  (void)table.Closed(7);  // Before its first message was read.
  table.Accepted(7);      // Used again.
  EXPECT_EQ(table.Message(live, 7, true), Verdict::kAccept);
  EXPECT_EQ(table.Message(dead, 7, true), Verdict::kEnded);
  EXPECT_EQ(table.CurrentOf("a"), live);
  table.Drained();
  EXPECT_TRUE(table.IsOpen(live.routing_id));
  EXPECT_FALSE(table.HasDeparture());
}

TEST(ConnectionTable, OfTwoConnectionsOnOneDescriptorTheNewerIsTheLiveOne) {
  ConnectionTable table;
  const Peer dead = PeerNumber("a", 1), live = PeerNumber("b", 2);
  table.Accepted(7);
  (void)table.Closed(7);
  table.Accepted(7);
  EXPECT_EQ(table.Message(dead, 7, true), Verdict::kAccept);  // Looks open: the descriptor is.
  EXPECT_EQ(table.Message(live, 7, true), Verdict::kAccept);
  table.Drained();
  EXPECT_EQ(table.NextDeparture(), dead);
  EXPECT_TRUE(table.IsOpen(live.routing_id));
  EXPECT_TRUE(table.Closed(7));
  table.Drained();
  EXPECT_EQ(table.NextDeparture(), live);
}

TEST(ConnectionTable, ARevokedUserDepartsAtOnceAndItsConnectionStaysReachable) {
  ConnectionTable table;
  const Peer named = PeerNumber("a", 1);
  const Peer unnamed{"work:00", named.routing_id};
  table.Accepted(7);
  EXPECT_EQ(table.Message(named, 7, true), Verdict::kAccept);
  EXPECT_EQ(table.Message(unnamed, 7, false), Verdict::kAccept);
  EXPECT_EQ(table.NextDeparture(), named);
  EXPECT_FALSE(table.CurrentOf("a"));
  EXPECT_TRUE(table.IsOpen(named.routing_id));
  EXPECT_EQ(table.Message(named, 7, true), Verdict::kAccept);  // Approved again.
  EXPECT_EQ(table.CurrentOf("a"), named);
}

TEST(ConnectionTable, AnOlderConnectionCountsAgainWhenTheNewerOneEnded) {
  ConnectionTable table;
  table.Accepted(7);
  table.Accepted(8);
  EXPECT_EQ(table.Message(PeerNumber("a", 1), 7, true), Verdict::kAccept);
  EXPECT_EQ(table.Message(PeerNumber("a", 2), 8, true), Verdict::kTakesOver);
  EXPECT_EQ(table.Message(PeerNumber("a", 2), 8, true), Verdict::kAccept);
  EXPECT_EQ(table.Message(PeerNumber("a", 1), 7, true), Verdict::kSuperseded);
  EXPECT_TRUE(table.Closed(8));
  table.Drained();
  EXPECT_EQ(table.Message(PeerNumber("a", 1), 7, true), Verdict::kAccept);
}

TEST(ConnectionTable, ADepartureIsToldEvenIfTheSocketIsNeverEmpty) {
  ConnectionTable table;
  table.Accepted(7);
  table.Accepted(8);
  EXPECT_EQ(table.Message(PeerNumber("a", 1), 7, true), Verdict::kAccept);
  EXPECT_TRUE(table.Closed(7));
  int messages = 0;
  while (!table.HasDeparture() && messages < 1000) {
    ++messages;
    EXPECT_EQ(table.Message(PeerNumber("noisy", 2), 8, true), Verdict::kAccept);
  }
  EXPECT_GE(messages, kReceiveQueueMessages);
  EXPECT_LT(messages, 1000);
}

// Connections of three users that open, speak and close at random, on descriptors that are used again, with messages
// read as late as libzmq may. Checked against what the whole history says.
TEST(ConnectionTable, NoOrderOfEventsConfusesIt) {
  struct Made {
    std::string user;
    int descriptor;
    bool open = true;
    int heard = 0;  // When its first message was read, counting; 0: not yet.
    int unread = 0;
  };
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomStream random(seed);
    ConnectionTable table;
    std::vector<Made> all;
    std::vector<std::pair<bool, int>> monitor;  // Accepted or closed, descriptor; not told yet.
    std::map<std::string, int> departures, arrivals;
    int heard_count = 0;
    const auto tell_monitor = [&] {
      for (const auto& [accepted, descriptor] : monitor) {
        if (accepted) {
          table.Accepted(descriptor);
        } else {
          (void)table.Closed(descriptor);
        }
      }
      monitor.clear();
    };
    const auto take_departures = [&] {
      while (const auto peer = table.NextDeparture()) ++departures[peer->user_id];
    };
    const auto read_one = [&](std::size_t which) {
      Made& made = all[which];
      --made.unread;
      tell_monitor();
      const Peer peer = PeerNumber(made.user, static_cast<unsigned>(which));
      const auto before = table.CurrentOf(made.user);
      Verdict verdict = table.Message(peer, made.descriptor, true);
      take_departures();
      if (verdict == Verdict::kTakesOver) verdict = table.Message(peer, made.descriptor, true);
      if (verdict == Verdict::kAccept && before != peer) ++arrivals[made.user];
      if (made.heard == 0) made.heard = ++heard_count;
      bool newer_spoke = false;
      for (const Made& other : all) newer_spoke |= other.user == made.user && other.heard > made.heard;
      // The connection that spoke first most recently is never turned away while it is open.
      if (made.open && !newer_spoke) {
        EXPECT_EQ(verdict, Verdict::kAccept);
      }
    };
    for (int step = 0; step < 300; ++step) {
      switch (random.NextBelow(6)) {
        case 0: {
          int descriptor = 5;
          for (const Made& made : all) descriptor += made.open && made.descriptor == descriptor ? 1 : 0;
          bool taken = false;
          for (const Made& made : all) taken |= made.open && made.descriptor == descriptor;
          if (taken) break;
          all.push_back({"user" + std::to_string(random.NextBelow(3)), descriptor});
          monitor.emplace_back(true, descriptor);
          break;
        }
        case 1:
        case 2:
          for (Made& made : all) made.unread += made.open && random.NextBelow(3) == 0 ? 1 : 0;
          break;
        case 3:
          for (Made& made : all) {
            if (!made.open || random.NextBelow(4) != 0) continue;
            made.open = false;
            monitor.emplace_back(false, made.descriptor);
            break;
          }
          break;
        case 4: {
          // A few reads, each from a random connection that has something.
          for (int reads = 0; reads < 4 && !all.empty(); ++reads) {
            const std::size_t which = random.NextBelow(static_cast<std::uint32_t>(all.size()));
            if (all[which].unread > 0) read_one(which);
          }
          break;
        }
        default:  // Read until nothing is left.
          for (std::size_t which = 0; which < all.size(); ++which) {
            while (all[which].unread > 0) read_one(which);
          }
          tell_monitor();
          table.Drained();
          take_departures();
          for (const std::string user : {"user0", "user1", "user2"}) {
            const auto current = table.CurrentOf(user);
            EXPECT_EQ(arrivals[user], departures[user] + (current ? 1 : 0)) << user;
            if (current) {
              EXPECT_TRUE(table.IsOpen(current->routing_id));
            }
          }
      }
    }
    // Everybody leaves.
    for (Made& made : all) {
      if (std::exchange(made.open, false)) monitor.emplace_back(false, made.descriptor);
    }
    for (std::size_t which = 0; which < all.size(); ++which) {
      while (all[which].unread > 0) read_one(which);
    }
    tell_monitor();
    table.Drained();
    take_departures();
    EXPECT_EQ(arrivals, departures);
    for (const char* user : {"user0", "user1", "user2"}) EXPECT_FALSE(table.CurrentOf(user));
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace hemafed::wire
