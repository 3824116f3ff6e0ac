// SPDX-License-Identifier: Apache-2.0
//
// The trainer's side of exemplars that travel: real pictures from one lab's vault into another's, and what is trained
// on them there.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "codec/exchange.h"
#include "codec/head_growth.h"
#include "codec/reports.h"
#include "learning/continual/local_training.h"
#include "learning/models/model_file.h"
#include "protocol/federation/partner_word.h"
#include "site_agent/trainer/exchange_key.h"
#include "site_agent/trainer/joined_pictures.h"
#include "tests/expect_error.h"
#include "tests/site_agent/exchange_fixture.h"

namespace hemafed::trainer {
namespace {

using hemafed::testing_support::ConsortiumFixture;
using learning::testing_support::Png;
using Exchange = testing_support::ExchangeFixture;

TEST_F(Exchange, ExemplarsOfOneVaultReachTheOtherInTheirOrderAndEncryptedAtRest) {
  const learning::ExemplarStore store = Exemplars();
  const BundleReport sealed = Seal(store);
  EXPECT_EQ(sealed.recipient, "second");
  EXPECT_EQ(sealed.items, 8u);
  const ReceivedReport received = Receive(sealed);
  EXPECT_FALSE(received.trouble.has_value());
  EXPECT_EQ(received.held, 8u);
  const learning::ExemplarStore lists = Received().Lists();
  ASSERT_EQ(lists.lists.size(), 2u);
  std::size_t place = 0;
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(lists.lists[i].domain, "first");
    for (const auto& [mine, theirs] : {std::pair(&lists.lists[i].herding, &store.lists[i].herding),
                                       std::pair(&lists.lists[i].uncertainty, &store.lists[i].uncertainty)}) {
      ASSERT_EQ(mine->size(), theirs->size());
      for (std::size_t k = 0; k < mine->size(); ++k) {
        EXPECT_EQ((*mine)[k].picture, (*theirs)[k].picture);
        EXPECT_EQ((*mine)[k].source, sealed.file.Hex() + "/" + std::to_string(place++));
      }
    }
  }
  // A tile in the clear would be found on the disk: none is.
  const learning::DomainPictures first = Domain("first", PicturesOf("first"));
  std::size_t files = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(FolderOf("second").Vault())) {
    if (!file.is_regular_file()) continue;
    const std::string content = ReadFile(files_, file.path(), 1 << 24);
    for (std::uint32_t position = 0; position < first.index().pictures.size(); ++position) {
      const cv::Mat tile = first.Tile(position);
      EXPECT_EQ(content.find(std::string(reinterpret_cast<const char*>(tile.data), 64)), std::string::npos);
    }
    ++files;
  }
  EXPECT_EQ(files, 2u + 1u + 8u) << "two keys, the lists, eight tiles";
}

TEST_F(Exchange, TheActiveSiteCommitsToItsPicturesAndThoseItReceived) {
  const auto commit = [&] {
    return CommitmentReport::FromJson({Run(JobOf(JobKind::kCommit, "second", 1)), "commit"}).pictures;
  };
  const std::uint64_t alone = commit();
  EXPECT_EQ(alone, Domain("second", PicturesOf("second")).Positions(learning::DomainPart::kTrain).size());
  (void)Receive(Seal(Exemplars()));
  EXPECT_EQ(commit(), alone + 8);
}

TEST_F(Exchange, TrainingHasTheBitsOfACentralRunOverTheSamePictures) {
  (void)Receive(Seal(Exemplars()));
  const learning::DomainPictures second = Domain("second", PicturesOf("second"));
  const auto own = second.Positions(learning::DomainPart::kTrain);
  const auto joined = JoinPictures(second, own, Received(), Received().Lists(), plan_);

  // Centrally: one folder with the pictures of both hospitals, and the same lists.
  std::set<Digest> wanted;
  for (const std::uint32_t position : own) wanted.insert(second.index().pictures[position].digest);
  for (const auto& list : Exemplars().lists) {
    for (const auto& exemplar : list.herding) wanted.insert(exemplar.picture);
    for (const auto& exemplar : list.uncertainty) wanted.insert(exemplar.picture);
  }
  const learning::DomainPictures all = Domain("union", scratch_ / "union");
  std::vector<std::uint32_t> positions;
  for (std::uint32_t position = 0; position < all.index().pictures.size(); ++position) {
    if (wanted.contains(all.index().pictures[position].digest)) positions.push_back(position);
  }
  const auto central = all.Batches(positions);
  ASSERT_EQ(joined->Size(), own.size() + 8);
  ASSERT_EQ(joined->Size(), central->Size());
  std::vector<std::uint32_t> everything;
  for (std::uint32_t i = 0; i < joined->Size(); ++i) {
    EXPECT_EQ(joined->PictureDigest(i), central->PictureDigest(i));
    EXPECT_EQ(joined->Label(i), central->Label(i));
    everything.push_back(i);
  }
  for (const auto& key : {std::optional<learning::AugmentationKey>{}, std::optional(learning::AugmentationKey{9, 3})}) {
    const learning::Batch ours = joined->Get(everything, key), theirs = central->Get(everything, key);
    EXPECT_TRUE(at::equal(ours.images, theirs.images));
    EXPECT_TRUE(at::equal(ours.labels, theirs.labels));
  }

  const Path initial = scratch_ / "initial.safetensors", base = scratch_ / "base.safetensors";
  (void)learning::WriteInitialModel(files_, initial, learning::Architecture::kSmallCnn, 5);
  (void)GrowHead(files_, initial, base, 5, 0, 2);
  const auto train = [&](learning::BatchSource& source) {
    learning::Classifier model = learning::LoadModel(files_, base);
    (void)TrainLocally(model, learning::DistilledLoss(nullptr, 0), source,
                       {.steps = 3,
                        .batch = 6,
                        .rounds = 1,
                        .learning_rate = 0.05,
                        .schedule = LearningRateSchedule::kConstant,
                        .sgd = {.momentum = 0.9, .nesterov = true, .weight_decay = 0, .clip_norm = 5},
                        .dropout = 0.2,
                        .freeze_affine = false,
                        .augment = true,
                        .sampling = Sampling::kUniform,
                        .threads = 1},
                       {.plan_seed = 5, .task = 1, .round = 0, .site = "second"}, {});
    return std::move(model).tensors();
  };
  const auto ours = train(*joined), theirs = train(*central);
  ASSERT_EQ(ours.size(), theirs.size());
  const auto start = learning::LoadModel(files_, base).tensors();
  bool moved = false;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    EXPECT_TRUE(at::equal(ours[i].value, theirs[i].value)) << ours[i].name;
    moved = moved || !at::equal(ours[i].value, start[i].value);
  }
  EXPECT_TRUE(moved);
}

TEST_F(Exchange, NothingIsSealedOrTakenInWithoutThePeoplesYes) {
  const BundleReport sealed = Seal(Exemplars());
  Decide("first", true);
  Decide("second", true);
  EXPECT_ERROR(ErrorCode::kUnavailable, "have not agreed",
               (void)Run(SealJob(ConsortiumFixture::TrainerKey("second").PublicKey())));
  EXPECT_ERROR(ErrorCode::kUnavailable, "have not agreed", (void)Receive(sealed));
  files_.Remove(FolderOf("first").Agreement());
  EXPECT_ERROR(ErrorCode::kUnavailable, "have not agreed",
               (void)Run(SealJob(ConsortiumFixture::TrainerKey("second").PublicKey())));
  EXPECT_TRUE(Received().Lists().lists.empty());
}

TEST_F(Exchange, ATrainerDoesNotSealToAKeyThatThePartnerDidNotSign) {
  // A hostile agent, which has neither the operator's nor the partner's key.
  Job job = SealJob(ConsortiumFixture::TrainerKey("second").PublicKey());
  StatementEntry forged = Agreement("second", ConsortiumFixture::TrainerKey("thief").PublicKey());
  forged.signature = Agreement("second", ConsortiumFixture::TrainerKey("second").PublicKey()).signature;
  job.partner = PartnerOf(fixture_.Joins("second"), forged);
  EXPECT_ERROR(ErrorCode::kRefused, "not signed by that lab", (void)Run(job));
}

TEST_F(Exchange, PicturesThatAreGoneOrTooLargeStayAtHome) {
  learning::ExemplarStore store = Exemplars();
  store.lists[0].herding[0].picture = Sha256Of("a picture that was withdrawn");
  const BundleReport sealed = Seal(store);
  EXPECT_EQ(sealed.items, 7u);
  EXPECT_NE(said_.find("1 exemplars do not travel to second"), std::string::npos) << said_;
  EXPECT_EQ(Receive(sealed).held, 7u);
  EXPECT_EQ(Received().Lists().lists[0].herding[0].picture, store.lists[0].herding[1].picture) << "ranks close up";

  std::string text = fixture_.plan_text;
  text.replace(text.find("picture_bytes = 100000"), 22, "picture_bytes = 60");
  text.replace(text.find("input = 32"), 10, "input = 64");
  UsePlan(text);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "none of the task's exemplars can travel", (void)Seal(store));
}

TEST_F(Exchange, ABundleThatCannotBeTakenInLeavesTheVaultAsItWas) {
  const BundleReport good = Seal(Exemplars());
  EXPECT_EQ(Receive(good).held, 8u);
  const learning::ExemplarStore before = Received().Lists();
  const Path object = JobFolder{JobsOf("second")}.Object(good.file);
  // Its ciphertext changed on the way, under a digest that its sender signed.
  std::string content = ReadFile(files_, object, 1 << 24);
  content[5000] = static_cast<char>(content[5000] ^ 1);
  BundleReport changed = good;
  changed.file = Sha256Of(content);
  WriteFileAtomically(files_, JobFolder{JobsOf("second")}.Object(changed.file), content);
  EXPECT_EQ(Receive(changed).trouble, BundleTrouble::kSeal);
  // Sealed to another key, for another recipient, of another task: nothing of it opens.
  const auto seal_raw = [&](const BundleAddress& address, const HpkePublicKey& key, const std::string& picture,
                            std::uint16_t label, std::uint32_t copies) {
    std::vector<BundleItem> items;
    for (std::uint32_t i = 0; i < copies; ++i) {
      items.push_back({.picture = Sha256Of(picture + std::string(i, ' ')),
                       .label = label,
                       .list = BundleList::kHerding,
                       .rank = i,
                       .bytes = static_cast<std::uint32_t>(picture.size() + i)});
    }
    const Path path = scratch_ / "raw.hfx";
    SealedBundleWriter writer(files_, path, address, key, items);
    for (std::uint32_t i = 0; i < copies; ++i) writer.Append(AsBytes(picture + std::string(i, ' ')));
    const BundleFileInfo file = writer.Finish();
    std::filesystem::copy_file(path, JobFolder{JobsOf("second")}.Object(file.file));
    return BundleReport{.recipient = "second", .file = file.file, .file_bytes = file.file_bytes, .items = copies};
  };
  const BundleAddress address{.plan = fixture_.plan, .task = 0, .sender = "first", .recipient = "second"};
  const HpkePublicKey key = LoadOrCreateExchangeKey(files_, FolderOf("second").ExchangeKey()).PublicKey();
  const auto trouble_of = [&](const BundleReport& report) { return Receive(report).trouble; };
  const std::string png = Png(999);
  EXPECT_EQ(trouble_of(seal_raw(address, ConsortiumFixture::TrainerKey("x").PublicKey(), png, 0, 1)),
            BundleTrouble::kSeal);
  BundleAddress other = address;
  other.recipient = "watcher";
  EXPECT_EQ(trouble_of(seal_raw(other, key, png, 0, 1)), BundleTrouble::kSeal);
  other = address;
  other.task = 1;
  EXPECT_EQ(trouble_of(seal_raw(other, key, png, 0, 1)), BundleTrouble::kSeal);
  EXPECT_EQ(trouble_of(seal_raw(address, key, png, 2, 1)), BundleTrouble::kItems) << "a class that the task has not";
  EXPECT_EQ(trouble_of(seal_raw(address, key, png, 0, 3)), BundleTrouble::kItems) << "a list longer than the plan's";
  EXPECT_EQ(trouble_of(seal_raw(address, key, "no picture at all", 0, 1)), BundleTrouble::kPicture);
  BundleReport more = seal_raw(address, key, Png(998), 0, 2);
  more.items = 3;
  EXPECT_EQ(trouble_of(more), BundleTrouble::kItems);
  EXPECT_EQ(Received().Lists(), before);
  std::size_t tiles = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(FolderOf("second").Vault())) {
    tiles += file.path().filename().string().size() > 64 ? 1 : 0;
  }
  EXPECT_EQ(tiles, 8u) << "tiles of what was not taken in are removed";
}

TEST_F(Exchange, UnderABudgetListsAreCutWhereTheyArrive) {
  std::string text = fixture_.plan_text;
  text.replace(text.find("exemplars = 4"), 13, "budget = 12");
  text.replace(text.find("input = 32"), 10, "input = 64");
  text += "[[task]]\nsite = \"third\"\nrounds = 1\n";
  UsePlan(text);
  // 12 of 2 lists: 6 after the first task, and in the second; 3 of 4 lists after it.
  const BundleReport sealed = Seal(Exemplars());
  EXPECT_EQ(sealed.items, 8u);
  Job later = ReceiveJob(sealed);
  later.task = 2;
  EXPECT_EQ(ReceivedReport::FromJson({Run(later), "receive"}).held, 6u);
  for (const auto& list : Received().Lists().lists) {
    EXPECT_EQ(list.herding.size(), 2u);
    EXPECT_EQ(list.uncertainty.size(), 1u);
  }
}

TEST_F(Exchange, AnAlteredTileIsNoticed) {
  (void)Receive(Seal(Exemplars()));
  const Digest picture = Received().Lists().lists[0].herding[0].picture;
  const Digest another = Received().Lists().lists[0].herding[1].picture;
  const Path folder = FolderOf("second").Vault() / ("received-" + fixture_.plan.Hex().substr(0, 16));
  std::filesystem::copy_file(folder / (another.Hex() + ".sealed"), folder / (picture.Hex() + ".sealed"),
                             std::filesystem::copy_options::overwrite_existing);
  Bytes tile(32 * 32 * 3);
  EXPECT_NO_THROW(Received().ReadTile(another, tile));
  EXPECT_ERROR(ErrorCode::kCorrupt, "", Received().ReadTile(picture, tile));
}

}  // namespace
}  // namespace hemafed::trainer
