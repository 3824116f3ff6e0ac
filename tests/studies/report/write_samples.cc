// SPDX-License-Identifier: Apache-2.0
//
// study_report_samples FOLDER: one of every chart (SVG and PNG) and a report with everything in it, made from made-up
// numbers and hostile texts. Python's parsers read them in a test, and people should look at the PNGs after a change.
#include <opencv2/imgproc.hpp>

#include "common/error.h"
#include "common/program.h"
#include "common/report/bar_chart.h"
#include "common/report/confusion_chart.h"
#include "common/report/html_report.h"
#include "common/report/line_chart.h"
#include "common/report/svg.h"
#include "studies/report/gallery_chart.h"
#include "studies/report/published_uacl.h"
#include "studies/report/raster.h"
#include "studies/report/report_names.h"
#include "studies/report/thumbnail.h"

namespace hemafed::studies {
namespace {

const std::vector<std::string> kMethods = {"UACL",        "fine-tuning",  "EWC",  "iCaRL",
                                           "upper bound", "plain replay", "DER++"};
constexpr std::string_view kHostile = "</title><script>alert('1')</script> & \"q\" \x01\xff";

Drawing AccuracyByTask() {
  LineChart chart{.title = "Accuracy after each task (mean \u00B1 sd over 3 seeds)",
                  .x_title = "task",
                  .y_title = "average accuracy",
                  .x_labels = {"raabin", "acevedo20", "bccd"},
                  .y_low = 0,
                  .y_high = 1};
  for (std::size_t i = 0; i < kMethods.size(); ++i) {
    LineSeries series{kMethods[i], {}, {}};
    for (int t = 0; t < 3; ++t) {
      series.values.emplace_back(0.96 - 0.03 * static_cast<double>(i) * t - 0.02 * t);
      series.spread.push_back(0.01 + 0.01 * t);
    }
    chart.series.push_back(series);
  }
  return DrawLineChart(chart);
}

Drawing TwelveTasks() {
  LineChart chart{.title = "First task over twelve tasks of three hospitals",
                  .x_title = "task",
                  .y_title = "accuracy",
                  .y_low = 0,
                  .y_high = 1};
  for (const char* hospital : {"Matek-19", "INT-20", "Acevedo-20"}) {
    for (int t = 1; t <= 4; ++t) chart.x_labels.push_back(std::string(hospital) + " T" + std::to_string(t));
  }
  for (int s = 0; s < 13; ++s) {
    LineSeries series{"strategy " + std::to_string(s + 1), {}, {}};
    for (int t = 0; t < 12; ++t) series.values.emplace_back(0.95 / (1 + 0.02 * s * t));
    chart.series.push_back(series);
  }
  return DrawLineChart(chart);
}

Drawing Forgetting() {
  BarChart chart{.title = "Forgetting by method (mean \u00B1 sd over 3 seeds)",
                 .x_title = "experiment",
                 .y_title = "forgetting",
                 .groups = {"D", "C_M", "C_I", "C_A", "DC"}};
  for (std::size_t i = 0; i < 5; ++i) {
    BarSeries series{kMethods[i], {}, {}};
    for (int g = 0; g < 5; ++g) {
      series.values.emplace_back(0.03 * static_cast<double>(i + 1) * (g + 1) - 0.06);
      series.spread.push_back(0.03);
    }
    chart.series.push_back(series);
  }
  return DrawBarChart(chart);
}

Drawing Confusion() {
  ConfusionChart chart{.title = "Confusion matrix, 13 classes",
                       .classes = {"basophil", "eosinophil", "erythroblast", "myeloblast", "promyelocyte", "myelocyte",
                                   "metamyelocyte", "neutrophil_banded", "neutrophil_segmented", "monocyte",
                                   "lymphocyte_typical", "lymphocyte_atypical", "smudge_cell"},
                       .counts = {}};
  for (std::uint64_t row = 0; row < 13; ++row) {
    for (std::uint64_t column = 0; column < 13; ++column) {
      const std::uint64_t wrong = (row * 7 + column * 3) % 5 == 0 ? (row + column) * 3 : 0;
      chart.counts.push_back(row == 11 ? 0 : row == column ? 1697 - 100 * row : wrong);
    }
  }
  return DrawConfusionChart(chart);
}

Bytes Disc(int hue) {
  cv::Mat hsv(96, 96, CV_8UC3, cv::Scalar(15, 40, 235));
  cv::circle(hsv, {48, 48}, 30, cv::Scalar(hue, 130, 170), cv::FILLED, cv::LINE_AA);
  cv::Mat rgb;
  cv::cvtColor(hsv, rgb, cv::COLOR_HSV2RGB);
  return Thumbnail(rgb, 72);
}

Drawing Exemplars() {
  GalleryChart gallery{.title = "Exemplars: what was picked and why", .rows = {}};
  for (const char* name : {"raabin basophil", "raabin monocyte"}) {
    GalleryRow row{name, "6 of 20", {}};
    for (int i = 1; i <= 6; ++i)
      row.pictures.push_back(
          {Disc(110 + 8 * i), (i <= 3 ? "herding " : "uncertain ") + std::to_string(i), "distance 0.41"});
    gallery.rows.push_back(row);
  }
  return DrawGallery(gallery);
}

Table Comparison() {
  std::vector<MeasuredScore> scores;
  scores.reserve(5);
  for (int m = 0; m < 5; ++m) {
    scores.push_back({.experiment = UaclExperiment::kDomains,
                      .method = static_cast<UaclMethod>(m),
                      .name = "",
                      .seeds = 3,
                      .accuracy_over_steps = {0.8 - 0.03 * m, 0.05, 3},
                      .first_task_drop = Measurement{0.02 * m, 0.03, 3},
                      .final_accuracy = {0.85 - 0.02 * m, 0.01, 3},
                      .de_lange_forgetting = Measurement{0.1 * m, 0.01, 3}});
  }
  return UaclComparison(scores, "made-up numbers");
}

int Run(const Path& folder) {
  FileSystem& files = RealFileSystem();
  files.CreateFolders(folder);
  const std::vector<std::pair<std::string, Drawing>> charts = {
      {"accuracy", AccuracyByTask()}, {"twelve_tasks", TwelveTasks()},
      {"forgetting", Forgetting()},   {"confusion", Confusion()},
      {"exemplars", Exemplars()},     {"hostile", Drawing(20, 20, std::string(kHostile))}};
  HtmlReport report{.title = "Sample report",
                    .summary = "Made-up numbers.\n\n" + std::string(kHostile),
                    .settings = {{"seeds", "0, 1, 2"}, {std::string(kHostile), std::string(kHostile)}},
                    .sections = {}};
  report.sections.push_back({"Published beside measured", {Comparison()}});
  ReportSection figures{std::string(kHostile), {}};
  for (const auto& [name, drawing] : charts) {
    WriteFileAtomically(files, folder / (name + ".svg"), RenderSvg(drawing));
    WriteFileAtomically(files, folder / (name + ".png"), AsText(RenderPng(drawing)));
    figures.parts.emplace_back(Figure{drawing, name + " " + std::string(kHostile)});
  }
  report.sections.push_back(figures);
  report.sections.push_back(
      {"Pictures", {Preformatted{std::string(kHostile)}, PictureGallery{"", {{Disc(120), std::string(kHostile)}}}}});
  WriteHtml(files, folder / "report.html", report);
  return 0;
}

}  // namespace
}  // namespace hemafed::studies

int main(int argc, char** argv) {
  return hemafed::RunProgram("study_report_samples", [&] {
    if (argc != 2) throw hemafed::Error(hemafed::ErrorCode::kInvalidInput, "usage: study_report_samples FOLDER");
    return hemafed::studies::Run(argv[1]);
  });
}
