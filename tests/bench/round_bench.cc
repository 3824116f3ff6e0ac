// SPDX-License-Identifier: Apache-2.0
//
// How long one federated round takes beside the training: two sites send an update of 32 MB each over CURVE, the
// coordinator decodes, checks, logs, merges and distributes, both sites acknowledge the model. Everything is real
// (sockets, keys, fsync, agents) but the trainers, which hand in updates that were made beforehand.
//
// A round lasts from the first update's appearance in a job folder until both acknowledgements are durable. Beside it:
// the disk's fsync floor, as many synced appends of 4 KiB as a round has entries, and the peak memory of the process
// that holds the coordinator (VmHWM; agents run in it too, so the coordinator alone needs less).
//
// Usage: round_bench [values, default 8388608] [rounds, default 5]
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <thread>

#include "codec/score_histograms.h"
#include "codec/update.h"
#include "common/digest_of_file.h"
#include "common/error.h"
#include "common/random.h"
#include "common/safetensors.h"
#include "coordinator/enrolment.h"
#include "coordinator/published_state.h"
#include "coordinator/server.h"
#include "protocol/log/round_log_reader.h"
#include "protocol/objects/object_store.h"
#include "site_agent/agent/agent_loop.h"
#include "site_agent/agent/join.h"

namespace hemafed {
namespace {

constexpr int kPort = 47301;

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string PeakMemory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return line.substr(6);
  }
  return " unknown";
}

Digest WriteModel(FileSystem& files, const Path& path, std::int64_t values) {
  TensorInfo tensor;
  tensor.name = "trunk.weight";
  tensor.shape = {values};
  SafetensorsWriter writer(files, path, {tensor}, {{"hemafed.feature_width", "4"}});
  std::vector<float> block(1 << 16);
  RandomStream random(1);
  for (float& value : block) value = static_cast<float>(random.NextBetween(-0.1, 0.1));
  for (std::int64_t at = 0; at < values; at += static_cast<std::int64_t>(block.size())) {
    const auto count =
        static_cast<std::size_t>(std::min<std::int64_t>(static_cast<std::int64_t>(block.size()), values - at));
    writer.Append(tensor.name, {reinterpret_cast<const std::uint8_t*>(block.data()), count * sizeof(float)});
  }
  return writer.Finish();
}

std::string PlanText(const Digest& weights, int rounds) {
  std::string text = R"(format = 2
name = "bench"
seed = 1
classes = ["a", "b"]
[model]
architecture = "small_cnn"
normalisation = "group_ws"
input = 64
dropout = 0.0
weights = ")" + weights.Hex() +
                     R"("
[training]
steps = 1
batch = 1
learning_rate = 0.01
schedule = "constant"
momentum = 0.0
nesterov = false
weight_decay = 0.0
clip_norm = 0.0
sampling = "uniform"
train_affine = true
threads = 1
[augmentation]
flips = false
rotation = "none"
brightness = 0.0
contrast = 0.0
saturation = 0.0
hue = 0.0
zoom = 0.0
shift = 0.0
blur = 0.0
[strategy]
name = "replay"
[rehearsal]
policy = "federated"
exemplars = 4
herding = "raw"
[aggregation]
rule = "mean"
update = "int32"
norm_bound = 1000000.0
max_share = 0.5
[privacy]
min_pictures = 1
[[task]]
site = "first"
rounds = 1
[[task]]
site = "second"
rounds = )" + std::to_string(rounds) +
                     "\n";
  return text;
}

// Hands in an update prepared for each round, since the same integers are not taken twice, and plausible reports for
// the other jobs.
class PreparedTrainer {
 public:
  PreparedTrainer(Path jobs, std::uint64_t seed, int rounds) : jobs_{std::move(jobs)}, seed_(seed), rounds_(rounds) {
    jobs_.CreateAll(RealFileSystem());
  }

  void Run(const std::atomic<bool>& stop) {
    while (!stop) {
      if (!RunOnce()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

 private:
  bool RunOnce() {
    FileSystem& files = RealFileSystem();
    for (const std::string& name : files.List(jobs_.Todo())) {
      if (!name.ends_with(".json")) continue;
      std::string text;
      try {
        text = ReadFile(files, jobs_.Todo() / name, kMaxJobBytes);
      } catch (const Error&) {
        continue;
      }
      const Job job = Job::FromText(text, name);
      if (files.Exists(jobs_.DoneFolder(job.Name()))) continue;
      HandIn(job, text);
      return true;
    }
    return false;
  }

  void HandIn(const Job& job, const std::string& text) {
    FileSystem& files = RealFileSystem();
    const Path work = jobs_.Work() / job.Name();
    files.Remove(work);
    files.CreateFolders(work);
    JobReport report{.job = Sha256Of(text), .body = {}};
    const ClassCounts counts(2, std::nullopt);
    // Before the measured task: the first site trains, then both evaluate.
    const bool knows_model = job.kind == JobKind::kTrain || job.kind == JobKind::kEvaluate;
    for (auto next = static_cast<int>(updates_.size()); knows_model && next <= rounds_; ++next) {
      updates_.push_back(Prepare(job, next));
    }
    if (job.kind == JobKind::kCommit) report.body = CommitmentReport{job.rehearsing ? 4u : 100u, counts}.ToJson();
    if (job.kind == JobKind::kSelect) report.body = ExemplarReport{4, counts, Sha256Of("list")}.ToJson();
    if (job.kind == JobKind::kEvaluate) {
      ConfusionMatrix matrix(2);
      matrix.Add(0, 0, 10);
      matrix.Add(1, 1, 10);
      ScoreTally tally(2);
      for (std::size_t i = 0; i < 20; ++i) {
        const double sure = 0.5 + static_cast<double>(i + job.site.size()) / 64.0;
        tally.Add(i % 2, i % 2 == 0 ? std::array{sure, 1.0 - sure} : std::array{1.0 - sure, sure});
      }
      auto evaluation = EvaluationReport::Of(matrix, 1, {{0, 1}});
      evaluation.set_scores(
          WriteScoreHistograms(files, work / std::string(kScoresFileName), ScoreHistograms::Of(tally, evaluation, 1)));
      report.body = evaluation.ToJson();
    }
    if (job.kind == JobKind::kTrain) {
      const std::size_t number = job.task == 0 ? 0 : job.round + 1;
      // Each is used once. Moved, not copied: a trainer writes the file while it trains, before the job is done.
      files.Rename(Prepared(static_cast<int>(number)), work / std::string(kUpdateFileName));
      UpdateReport update = updates_.at(number);
      update.pictures = job.rehearsing ? 4 : 100;
      report.body = update.ToJson();
    }
    WriteFileAtomically(files, work / std::string(kReportFileName), report.ToText());
    files.Rename(work, jobs_.DoneFolder(job.Name()));
  }

  [[nodiscard]] Path Prepared(int number) const { return jobs_.root / ("prepared-" + std::to_string(number) + ".hfu"); }

  [[nodiscard]] UpdateReport Prepare(const Job& job, int number) {
    FileSystem& files = RealFileSystem();
    const UpdateLayout layout = LayoutOfModel(SafetensorsReader::Open(files, jobs_.Object(job.model)));
    UpdateWriter writer(files, Prepared(number), layout);
    // Steps of about 1e-4 in units of 2^-22, as a few SGD steps make them: nine of the 32 bits vary.
    RandomStream random(1000 * seed_ + static_cast<std::uint64_t>(number));
    std::vector<std::int32_t> block(1 << 16);
    for (std::uint64_t left = layout.ValueCount(); left > 0;) {
      const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), left));
      for (std::size_t i = 0; i < count; ++i) block[i] = static_cast<std::int32_t>(random.NextNormal() * 300);
      writer.Append(std::span(block).first(count));
      left -= count;
    }
    const UpdateFileInfo file = writer.Finish();
    UpdateReport report;
    report.values = file.values;
    report.layout = layout.Hash();
    report.file = file.file;
    report.file_bytes = file.file_bytes;
    report.pictures = job.rehearsing ? 4 : 100;
    report.classes = ClassCounts(2, std::nullopt);
    report.steps = 1;
    return report;
  }

  JobFolder jobs_;
  std::uint64_t seed_ = 0;
  int rounds_ = 0;
  std::vector<UpdateReport> updates_;
};

double FsyncFloor(const Path& folder, int count) {
  const auto file = RealFileSystem().OpenForAppend(folder / "floor");
  const std::string block(4096, 'x');
  const double start = Now();
  for (int i = 0; i < count; ++i) {
    file->Append(block);
    file->Sync();
  }
  return Now() - start;
}

void Main(std::int64_t values, int rounds) {
  FileSystem& files = RealFileSystem();
  const SystemClock clock;
  const Path root = std::filesystem::temp_directory_path() / ("hemafed-round-bench-" + std::to_string(::getpid()));
  files.CreateFolders(root);
  const coordinator::ConsortiumFolder folder{root / "consortium"};
  const auto endpoint = [](int port) { return "tcp://127.0.0.1:" + std::to_string(port); };
  coordinator::CreateConsortium(files, folder,
                                {.name = "bench",
                                 .work_endpoint = endpoint(kPort),
                                 .enrol_endpoint = endpoint(kPort + 1),
                                 .work_bind = endpoint(kPort),
                                 .enrol_bind = endpoint(kPort + 1)},
                                root / "operator.pem");
  const auto consortium = coordinator::LoadConsortium(files, folder);
  const Ed25519KeyPair operator_key = Ed25519KeyPair::Load(files, root / "operator.pem");
  const Path weights = folder.Scratch() / "weights";
  const Digest digest = WriteModel(files, weights, values);
  ObjectStore(files, folder.root).AdoptFile(weights, digest);
  WriteFileAtomically(files, root / "plan.toml", PlanText(digest, rounds));

  std::atomic<bool> stop{false};
  const auto stopped = [&] { return stop.load(); };
  std::thread server([&] {
    coordinator::RunServer(files, clock, consortium, false,
                           {.stop = stopped, .print = [](const std::string&) {}, .on_started = {}});
  });
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<PreparedTrainer>> trainers;
  for (const std::string site : {"first", "second"}) {
    const agent::SiteFolder lab{root / site};
    files.CreateFolders(lab.root);
    const std::string token = coordinator::Invite(files, consortium, site, clock.WallMs()).ToToken();
    std::thread joining(
        [&] { agent::Join(files, clock, lab, token, 30'000, {.stop = stopped, .print = [](const std::string&) {}}); });
    while (coordinator::ListPending(files, consortium).empty())
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    coordinator::Approve(files, consortium, operator_key, site,
                         coordinator::ListPending(files, consortium)[0].fingerprint);
    joining.join();
    trainers.push_back(std::make_unique<PreparedTrainer>(lab.Jobs(), trainers.size() + 1, rounds));
    threads.emplace_back(
        [&, lab] { agent::RunAgent(files, clock, lab, false, {.stop = stopped, .print = [](const std::string&) {}}); });
    threads.emplace_back([&, trainer = trainers.back().get()] { trainer->Run(stop); });
  }
  coordinator::SubmitPlan(files, consortium, operator_key, root / "plan.toml");
  while (true) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    try {
      if (coordinator::ReadPublishedState(files, consortium).phase() == Phase::kClosed) break;
    } catch (const Error&) {
      // The log grew while it was read; the next look finds it whole.
    }
  }
  stop = true;
  server.join();
  for (std::thread& thread : threads) thread.join();

  // From the entries: when each round opened and when its last acknowledgement was durable.
  std::vector<double> seconds;
  double opened = 0, acknowledged = 0;
  int entries = 0, entries_of_round = 0;
  const auto log = RoundLogReader::Open(files, folder.Log(), coordinator::LogKeyOf(consortium));
  const auto defect = log.ForEach([&](std::uint64_t, std::string_view text) {
    const Entry entry = ParseEntry(text);
    ++entries;
    if (const auto* round = std::get_if<RoundOpenedEntry>(&entry.body)) {
      if (opened > 0 && round->task == 1) seconds.push_back((acknowledged - opened) / 1000), entries_of_round = entries;
      opened = round->task == 1 ? static_cast<double>(entry.at_ms) : 0;
      entries = 0;
    }
    const auto* statement = std::get_if<StatementEntry>(&entry.body);
    if (statement != nullptr && statement->statement.kind == StatementKind::kAcknowledgement)
      acknowledged = static_cast<double>(entry.at_ms);
  });
  if (defect || seconds.empty()) throw Error(ErrorCode::kInternal, "the benchmark's own log is not readable");
  std::sort(seconds.begin(), seconds.end());
  const double update_mb = static_cast<double>(values) * 4 / 1e6;
  std::printf("update %.1f MB of raw integers at each of 2 sites, %zu rounds measured\n", update_mb, seconds.size());
  std::printf("round: median %.3f s, fastest %.3f s, slowest %.3f s (opened to both acknowledged)\n",
              seconds[seconds.size() / 2], seconds.front(), seconds.back());
  // Journal and checkpoint are synced for each entry.
  std::printf("fsync floor of its %d entries: %.3f s\n", entries_of_round, FsyncFloor(root, 2 * entries_of_round));
  std::printf("peak memory of coordinator and both agents in one process:%s\n", PeakMemory().c_str());
  files.Remove(root);
}

}  // namespace
}  // namespace hemafed

int main(int argc, char** argv) {
  try {
    hemafed::Main(argc > 1 ? std::stoll(argv[1]) : 8'388'608, argc > 2 ? std::stoi(argv[2]) : 6);
  } catch (const std::exception& error) {
    std::cerr << "round_bench: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
