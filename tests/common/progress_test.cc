// SPDX-License-Identifier: Apache-2.0
#include "common/progress.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

namespace hemafed {
namespace {

class RecordedOutput final : public ProgressOutput {
 public:
  explicit RecordedOutput(std::size_t columns) : columns_(columns) {}
  void Write(std::string_view text) override { written_ += text; }
  [[nodiscard]] std::size_t Columns() const override { return columns_; }
  // What was written since the last call.
  [[nodiscard]] std::string Take() { return std::exchange(written_, {}); }

 private:
  std::size_t columns_;
  std::string written_;
};

constexpr std::string_view kErase = "\r\x1b[K";
std::string Redrawn(const std::string& line) { return std::string(kErase) + line; }

TEST(Progress, WritesPlainLinesWhereThereIsNoTerminal) {
  ManualClock clock;
  RecordedOutput output(0);
  Progress progress(clock, output);
  progress.Begin("training", 1000, "pictures");
  EXPECT_EQ(output.Take(), "training: 0/1000 pictures\n");
  for (std::uint64_t i = 1; i <= 49; ++i) {
    clock.Advance(100);
    progress.Update(2 * i);
  }
  EXPECT_EQ(output.Take(), "") << "4.9 s are too soon for the next line";
  clock.Advance(100);
  progress.Update(100, "loss 0.5");
  EXPECT_EQ(output.Take(), "training: 100/1000 pictures, 20/s, 45 s left, loss 0.5\n");
  clock.Advance(45'000);
  progress.End("loss 0.3");
  EXPECT_EQ(output.Take(), "training: 100 pictures in 50 s, loss 0.3\n");
}

TEST(Progress, RedrawsOneLineOnATerminalAtMostTenTimesASecond) {
  ManualClock clock;
  RecordedOutput output(200);
  Progress progress(clock, output);
  progress.Begin("sending", 0, "chunks");
  EXPECT_EQ(output.Take(), "sending: 0 chunks");
  clock.Advance(99);
  progress.Update(5);
  EXPECT_EQ(output.Take(), "");
  clock.Advance(1);
  progress.Update(6);
  EXPECT_EQ(output.Take(), Redrawn("sending: 6 chunks, 60/s"));
  progress.End();
  EXPECT_EQ(output.Take(), Redrawn("sending: 6 chunks in 0 s\n"));
}

TEST(Progress, FollowsAChangeOfPaceWithinTheWindow) {
  ManualClock clock;
  RecordedOutput output(200);
  Progress progress(clock, output);
  progress.Begin("x", 0, "steps");
  std::uint64_t done = 0;
  for (int second = 0; second < 30; ++second) {
    clock.Advance(1000);
    progress.Update(done += 100);
  }
  EXPECT_NE(output.Take().find(", 100/s"), std::string::npos);
  for (int second = 0; second < 11; ++second) {
    clock.Advance(1000);
    progress.Update(done += 2);
  }
  EXPECT_TRUE(output.Take().ends_with(", 2.0/s"));
}

TEST(Progress, DoesNotCountEarlierWorkOfAResumedPhaseAsPace) {
  ManualClock clock;
  RecordedOutput output(200);
  Progress progress(clock, output);
  progress.Begin("x", 1000, "steps", 900);
  EXPECT_EQ(output.Take(), "x: 900/1000 steps");
  clock.Advance(1000);
  progress.Update(910);
  EXPECT_EQ(output.Take(), Redrawn("x: 910/1000 steps, 10/s, 9 s left"));
}

TEST(Progress, CutsTheLineToTheTerminalWithoutBreakingACharacter) {
  ManualClock clock;
  RecordedOutput output(6);
  Progress progress(clock, output);
  progress.Begin("ääääää", 0, "steps");
  EXPECT_EQ(output.Take(), "äääää");
}

TEST(Progress, KeepsNotesAboveTheRedrawnLine) {
  ManualClock clock;
  RecordedOutput output(80);
  Progress progress(clock, output);
  progress.Begin("x", 0, "steps");
  (void)output.Take();
  progress.Note("site b is late");
  EXPECT_EQ(output.Take(), Redrawn("site b is late\nx: 0 steps"));
  progress.End();
  (void)output.Take();
  progress.Note("done");
  EXPECT_EQ(output.Take(), "done\n");
}

TEST(Progress, EndsThePhaseThatIsOpenWhenTheNextBegins) {
  ManualClock clock;
  RecordedOutput output(0);
  Progress progress(clock, output);
  progress.Begin("a", 0, "steps");
  progress.Begin("b", 0, "steps");
  EXPECT_EQ(output.Take(), "a: 0 steps\na: 0 steps in 0 s\nb: 0 steps\n");
  progress.End();
  progress.End();
  progress.Update(7);
  EXPECT_EQ(output.Take(), "b: 0 steps in 0 s\n");
}

TEST(Progress, LeavesAnUnfinishedLineInViewAndGoesToTheNext) {
  ManualClock clock;
  RecordedOutput output(80);
  {
    Progress progress(clock, output);
    progress.Begin("x", 0, "steps");
    (void)output.Take();
  }
  EXPECT_EQ(output.Take(), "\n");
}

TEST(Progress, LetsNoTextMoveTheCursor) {
  ManualClock clock;
  RecordedOutput output(0);
  Progress progress(clock, output);
  progress.Begin("a\x1b[2Jb", 0, "st\neps");
  EXPECT_EQ(output.Take(), "a?[2Jb: 0 st?eps\n");
}

TEST(DurationText, NamesTheTwoLargestUnits) {
  EXPECT_EQ(DurationText(0), "0 s");
  EXPECT_EQ(DurationText(59), "59 s");
  EXPECT_EQ(DurationText(65), "1 min 05 s");
  EXPECT_EQ(DurationText(3600 * 26 + 7 * 60 + 59), "26 h 07 min");
}

TEST(DescriptorOutput, TellsATerminalFromAPipe) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  DescriptorOutput pipe(ends[1]);
  EXPECT_EQ(pipe.Columns(), 0u);
  pipe.Write("text\n");
  char read_back[8] = {};
  EXPECT_EQ(::read(ends[0], read_back, sizeof read_back), 5);
  EXPECT_STREQ(read_back, "text\n");
  ::close(ends[0]);
  ::close(ends[1]);

  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  EXPECT_GT(DescriptorOutput(terminal).Columns(), 0u);
  ::close(terminal);
}

}  // namespace
}  // namespace hemafed
