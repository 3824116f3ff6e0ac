// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/segment_command.h"

#include <cstdio>
#include <iostream>

#include "common/clock.h"
#include "common/progress.h"
#include "common/stop_signal.h"
#include "learning/features/cells/finder_score.h"

namespace hemafed::trainer {

namespace {

// "0.893", or "-" for what cannot be said (no masks, no cell of that size).
std::string Share(double value) {
  if (value < 0) return "-";
  char text[32];
  std::snprintf(text, sizeof(text), "%.3f", value);
  return text;
}

}  // namespace

void RunSegment(FileSystem& files, learning::CellFinder& finder, const SegmentSettings& settings) {
  InstallStopSignals();
  const SystemClock clock;
  DescriptorOutput output;
  Progress progress(clock, output);
  bool begun = false;
  const SegmentSummary summary = SegmentFolder(files, finder, settings, [&](std::uint64_t done, std::uint64_t total) {
    if (!begun) progress.Begin("finding cells", total, "pictures");
    begun = true;
    progress.Update(done);
    if (done == total) progress.End();
    return !StopRequested();
  });
  std::cout << SegmentReport(summary, kMaxNamedOnScreen) << "written to " << settings.output.string()
            << ": cells.csv, crops/, overlays/, sheets/, report.txt, report.json\n";
}

void RunScoreFinder(FileSystem& files, learning::CellFinder& finder, const std::vector<std::string>& domains,
                    learning::Split split) {
  InstallStopSignals();
  const SystemClock clock;
  DescriptorOutput output;
  Progress progress(clock, output);
  std::cout
      << finder.Description() << ", " << learning::SplitName(split) << " pictures\n\n"
      << "| domain | pictures | cells | found (box IoU >= 0.5) | extra a picture | mean box IoU | mean mask IoU | "
         "box AP | box AP50 | mask AP | mask AP50 |\n"
      << "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
  std::string notes;
  for (const std::string& folder : domains) {
    const learning::AnnotatedDomain domain(files, folder);
    progress.Begin(domain.name(), domain.Positions(split).size(), "pictures");
    const learning::FinderScore score =
        learning::ScoreFinder(finder, domain, split, [&](std::uint64_t done, std::uint64_t) {
          progress.Update(done);
          return !StopRequested();
        });
    progress.End();
    const bool has_masks = score.masked > 0;
    std::cout << "| " << domain.name() << " | " << score.pictures << " | " << score.annotated << " | "
              << Share(score.annotated > 0 ? score.FoundShare() : -1) << " | "
              << Share(score.pictures > 0 ? static_cast<double>(score.extra) / static_cast<double>(score.pictures) : -1)
              << " | " << Share(score.annotated > 0 ? score.MeanBoxIou() : -1) << " | "
              << Share(has_masks ? score.MeanMaskIou() : -1) << " | " << Share(score.boxes.ap) << " | "
              << Share(score.boxes.ap50) << " | " << Share(score.masks.ap) << " | " << Share(score.masks.ap50) << " |"
              << std::endl;
    for (const std::string& note : domain.notes()) notes += domain.name() + "/" + note + "\n";
  }
  if (!notes.empty()) std::cout << "\nAnnotations that were not used:\n" << notes;
}

}  // namespace hemafed::trainer
