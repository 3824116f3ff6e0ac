// SPDX-License-Identifier: Apache-2.0
#include "studies/ae_cfe/ae_cfe_file.h"

#include <algorithm>

#include "codec/plan.h"
#include "common/error.h"
#include "common/report/scatter_chart.h"
#include "common/settings.h"
#include "learning/data/tile_cache.h"
#include "learning/features/autoencoder/cell_autoencoder.h"
#include "learning/features/latent/tsne.h"

namespace hemafed::studies {

namespace {

constexpr std::int64_t kFormat = 1;
constexpr std::size_t kMaxPathBytes = 1024;
constexpr std::size_t kMaxTitleBytes = 200;
constexpr auto kMaxSeed = static_cast<std::int64_t>(kMaxAeCfeSeed);
constexpr std::int64_t kMaxFlattenedSide = 147;  // 147 * 147 * 3 is below kMaxFeatureColumns
constexpr double kMaxBeta = 1e6;                 // Published: 5.
constexpr double kMinLearningRate = 1e-9;        // Published: 1e-3.
constexpr TextRule kName{"1 to 48 of a-z, 0-9, '_' and '-', starting with a letter or digit", IsPlainName};

// A name of the published tables, or nothing where the key is missing.
template <class Enum>
std::optional<Enum> Published(const Settings& table, Enum (*named)(std::string_view)) {
  if (!table.Has("published")) return std::nullopt;
  const std::string name = table.Text("published", kMaxTitleBytes);
  try {
    return named(name);
  } catch (const Error& error) {
    table.Fail("published", error.what());
  }
}

learning::CrossDomainSettings ReadMatrix(const Settings& table) {
  learning::CrossDomainSettings matrix;
  matrix.split =
      table.Choice("split", {"own", "shuffled"}) == 0 ? learning::MatrixSplit::kOwn : learning::MatrixSplit::kShuffled;
  if (matrix.split == learning::MatrixSplit::kShuffled) {
    matrix.split_seed = static_cast<std::uint64_t>(table.Integer("split_seed", 0, kMaxSeed));
    matrix.test_percent = static_cast<unsigned>(table.Integer("test_percent", 1, 99));
  }
  matrix.shared_classes_only = table.Boolean("shared_classes_only");
  return matrix;
}

learning::ForestSettings ReadForest(const Settings& table) {
  learning::ForestSettings forest;
  forest.trees = static_cast<int>(table.Integer("trees", 1, learning::kMaxForestTrees));
  forest.depth_max = static_cast<int>(table.Integer("depth", 1, learning::kMaxForestDepth));
  return forest;
}

AeCfeDomainChoice ReadDomain(const Settings& table, const Path& folder) {
  AeCfeDomainChoice domain;
  domain.name = table.Text("name", kMaxNameBytes, kName);
  domain.folder = table.Text("folder", kMaxPathBytes);
  domain.layout = table.Choice("layout", {"manifest", "folders"}) == 0 ? "manifest" : "folders";
  domain.labels = folder / table.Text("labels", kMaxPathBytes);
  domain.crop = static_cast<std::uint32_t>(table.Integer("crop", 0, learning::kMaxCropPixels));
  domain.published = Published(table, AeCfeDomainNamed);
  return domain;
}

std::optional<std::size_t> ReadSweepColumn(const Settings& table) {
  if (!table.Has("sweep")) return std::nullopt;
  std::vector<std::string_view> names;
  for (const SweepColumn& column : SweepColumns()) names.push_back(column.name);
  return table.Choice("sweep", names);
}

AutoencoderChoice ReadAutoencoder(const Settings& table) {
  using learning::DomainMethod;
  AutoencoderChoice choice;
  learning::AutoencoderSettings& settings = choice.settings;
  settings.method = static_cast<DomainMethod>(table.Choice("domains", {"none", "alignment", "normal", "adversarial"}));
  if (settings.method != DomainMethod::kNone) settings.beta = table.Number("beta", 0, kMaxBeta);
  if (settings.method == DomainMethod::kAlignment) choice.source = table.Text("source", kMaxNameBytes, kName);
  settings.picture_loss.kind = static_cast<learning::PictureLossKind>(table.Choice("picture_loss", {"ssim", "mse"}));
  if (settings.picture_loss.kind == learning::PictureLossKind::kSsim)
    settings.picture_loss.ssim.window = table.Integer("window", 1, learning::kMaxSsimWindow);
  settings.epochs = static_cast<std::uint32_t>(table.Integer("epochs", 1, learning::kMaxAutoencoderEpochs));
  settings.batch = static_cast<std::uint32_t>(table.Integer("batch", 1, learning::kMaxAutoencoderBatch));
  settings.learning_rate = table.Number("learning_rate", kMinLearningRate, 1);
  choice.all_cells = table.Choice("cells", {"train", "all"}) == 1;
  if (table.Has("seed")) choice.seed = static_cast<std::uint64_t>(table.Integer("seed", 0, kMaxSeed));
  return choice;
}

// The arm names its source domain; training numbers domains in the study's order.
void NumberSource(ArmChoice& arm, const std::vector<AeCfeDomainChoice>& domains, const Settings& table) {
  if (arm.autoencoder.source.empty()) return;
  const auto place = std::find_if(domains.begin(), domains.end(), [&](const AeCfeDomainChoice& domain) {
    return domain.name == arm.autoencoder.source;
  });
  if (place == domains.end()) table.Fail("source", "is no domain of the study");
  arm.autoencoder.settings.source = static_cast<std::uint32_t>(place - domains.begin());
}

// One arm, or one for each size of the latent.
std::vector<ArmChoice> ReadArms(const Settings& table, const Path& folder) {
  ArmChoice arm;
  arm.description.name = table.Text("name", kMaxNameBytes, kName);
  arm.description.title = table.Text("title", kMaxTitleBytes);
  arm.description.published = Published(table, AeCfeMethodNamed);
  arm.description.sweep_column = ReadSweepColumn(table);
  arm.kind = static_cast<ArmKind>(table.Choice("kind", {"flattened", "trunk", "files", "detector", "autoencoder"}));
  if (arm.kind != ArmKind::kAutoencoder && table.Has("bottleneck"))
    arm.description.bottleneck = static_cast<std::uint32_t>(table.Integer("bottleneck", 1, 65'536));
  if (arm.kind != ArmKind::kAutoencoder && arm.description.sweep_column && !arm.description.bottleneck)
    table.Fail("sweep", "needs the size of the latent as 'bottleneck'");
  switch (arm.kind) {
    case ArmKind::kFlattened:
      arm.side = static_cast<std::uint32_t>(table.Integer("side", learning::kMinTileSide, kMaxFlattenedSide));
      return {arm};
    case ArmKind::kTrunk:
      arm.side = static_cast<std::uint32_t>(table.Integer("side", learning::kMinTileSide, learning::kMaxTileSide));
      arm.weights = folder / table.Text("weights", kMaxPathBytes);
      return {arm};
    case ArmKind::kFiles: arm.folder = folder / table.Text("folder", kMaxPathBytes); return {arm};
    case ArmKind::kDetector:
    case ArmKind::kAutoencoder: break;
  }
  arm.side = static_cast<std::uint32_t>(table.Integer("side", learning::kMinTileSide, learning::kMaxTileSide));
  arm.cells.detector = folder / table.Text("detector", kMaxPathBytes);
  if (arm.kind == ArmKind::kDetector) return {arm};
  arm.cells.crop_to_box = table.Choice("target", {"cell", "picture"}) == 0;
  arm.autoencoder = ReadAutoencoder(table);
  const auto sizes =
      table.IntegerList("bottlenecks", 1, kMaxAeCfeArms, learning::kMinLatentSize, learning::kMaxLatentSize);
  std::vector<ArmChoice> arms;
  for (const std::int64_t size : sizes) {
    ArmChoice& one = arms.emplace_back(arm);
    one.description.bottleneck = static_cast<std::uint32_t>(size);
    if (sizes.size() == 1) continue;
    one.description.name += "-" + std::to_string(size);
    one.description.title += ", " + std::to_string(size);
    if (one.description.name.size() > kMaxNameBytes) table.Fail("name", "is too long with the size of the latent");
  }
  return arms;
}

template <class Item, class NameOfItem>
void RequireNew(const std::vector<Item>& list, const std::string& name, const Settings& table, NameOfItem name_of) {
  for (const Item& item : list)
    if (name_of(item) == name) table.Fail("name", "'" + name + "' is there already");
}

}  // namespace

AeCfeFile AeCfeFile::Load(FileSystem& files, const Path& path) {
  return Parse(ReadFile(files, path, kMaxSettingsBytes), path.string(), path.parent_path());
}

AeCfeFile AeCfeFile::Parse(std::string_view text, const std::string& where, const Path& folder) {
  const Settings settings = Settings::Parse(text, where);
  (void)settings.Integer("format", kFormat, kFormat);
  AeCfeFile study;
  study.text = std::string(text);
  study.name = settings.Text("name", kMaxNameBytes, kName);
  study.title = settings.Text("title", kMaxTitleBytes);
  study.validation = settings.Choice("part", {"test", "validation"}) == 1;
  for (const std::int64_t seed : settings.IntegerList("seeds", 1, kMaxAeCfeSeeds, 0, kMaxSeed)) {
    const auto value = static_cast<std::uint64_t>(seed);
    if (std::find(study.seeds.begin(), study.seeds.end(), value) != study.seeds.end())
      settings.Fail("seeds", std::to_string(seed) + " is there twice");
    study.seeds.push_back(value);
  }
  study.matrix = ReadMatrix(settings.Table("matrix"));
  if (study.validation && study.matrix.split == learning::MatrixSplit::kShuffled)
    settings.Fail("part", "validation leaves the test pictures out and needs the matrix's split to be \"own\"");
  study.matrix.forest = ReadForest(settings.Table("forest"));
  for (const Settings& table : settings.Tables("domain", learning::kMaxMatrixDomains)) {
    AeCfeDomainChoice domain = ReadDomain(table, folder);
    RequireNew(study.domains, domain.name, table, [](const AeCfeDomainChoice& item) { return item.name; });
    study.domains.push_back(std::move(domain));
  }
  if (study.domains.size() < 2) settings.Fail("domain", "must be there at least twice");
  for (const Settings& table : settings.Tables("arm", kMaxAeCfeArms)) {
    for (ArmChoice& arm : ReadArms(table, folder)) {
      NumberSource(arm, study.domains, table);
      if (arm.kind == ArmKind::kAutoencoder && !arm.autoencoder.all_cells &&
          study.matrix.split == learning::MatrixSplit::kShuffled) {
        table.Fail("cells", "of training pictures are known only with the matrix's split \"own\"; take \"all\"");
      }
      RequireNew(study.arms, arm.description.name, table, [](const ArmChoice& item) { return item.description.name; });
      study.arms.push_back(std::move(arm));
    }
  }
  if (study.arms.size() > kMaxAeCfeArms)
    settings.Fail("arm", "gives more than " + std::to_string(kMaxAeCfeArms) + " arms, one for each size of a latent");
  if (const auto table = settings.OptionalTable("map")) {
    if (study.domains.size() > report::kMaxScatterOrigins) {
      settings.Fail("map", "shows at most " + std::to_string(report::kMaxScatterOrigins) +
                               " domains that can be told apart: take the table out");
    }
    study.map = MapChoice{.rows_max = static_cast<std::size_t>(table->Integer("rows", 4, learning::kMaxTsneRows)),
                          .perplexity = table->Number("perplexity", 1, 1000),
                          .steps = static_cast<std::uint32_t>(table->Integer("steps", 1, learning::kMaxTsneSteps))};
  }
  if (const auto table = settings.OptionalTable("drift")) {
    study.drift = learning::TwoSampleSettings{
        .permutations = static_cast<std::uint32_t>(table->Integer("permutations", 1, learning::kMaxPermutations)),
        .rows_max =
            static_cast<std::size_t>(table->Integer("rows", learning::kMinTwoSampleRows, learning::kMaxTwoSampleRows)),
        .seed = static_cast<std::uint64_t>(table->Integer("seed", 0, kMaxSeed))};
  }
  settings.RequireAllRead();
  return study;
}

}  // namespace hemafed::studies
