// SPDX-License-Identifier: Apache-2.0
//
// The jobs of exemplars that travel (policy `sealed`): the trainer's key, sealing, taking in. Each looks itself at what
// the lab's people decided and at the partner's signatures; that the agent handed out the job proves neither.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "codec/exchange.h"
#include "codec/sealed_bundle.h"
#include "common/error.h"
#include "learning/data/picture.h"
#include "learning/data/tile_cache.h"
#include "protocol/federation/lab_agreement.h"
#include "protocol/federation/partner_word.h"
#include "site_agent/trainer/exchange_key.h"
#include "site_agent/trainer/jobs.h"
#include "site_agent/trainer/received_pictures.h"
#include "site_agent/trainer/sent_bundles.h"

namespace hemafed::trainer {

using nlohmann::json;

namespace {

// kUnavailable where the people have not said yes: the job stays, and is done if they do.
LabAgreement RequireAgreement(const JobContext& context) {
  const auto agreement = LoadLabAgreement(context.files, context.folder.Agreement());
  if (!agreement || !agreement->Allows(context.job.plan, context.job.partner->site)) {
    throw Error(ErrorCode::kUnavailable,
                context.job.Name() + ": this lab's people have not agreed that pictures travel between it and " +
                    context.job.partner->site + " (hemafed-site agree)");
  }
  return *agreement;
}

// A picture of the lab, or nothing if it is gone, changed, or larger than may travel.
std::optional<std::string> ReadPicture(const JobContext& context, const learning::PictureEntry& picture) {
  if (picture.bytes == 0 || picture.bytes > context.plan.rehearsal.picture_bytes) return std::nullopt;
  const Path path = context.settings.pictures / picture.file;
  if (!context.files.Exists(path)) return std::nullopt;
  std::string content = ReadFile(context.files, path, learning::kMaxPictureFileBytes);
  if (Sha256Of(content) != picture.digest) return std::nullopt;
  return content;
}

struct Selected {
  std::vector<BundleItem> items;
  std::vector<const learning::PictureEntry*> pictures;  // Of the items, in their order.
  std::size_t left_out = 0;
};

// What the task's lists name, with ranks counted over what can travel.
Selected SelectedPictures(const JobContext& context) {
  std::map<Digest, const learning::PictureEntry*> by_digest;
  for (const learning::PictureEntry& picture : context.pictures().domain().index().pictures) {
    by_digest[picture.digest] = &picture;
  }
  learning::ExemplarStore store = context.vault.Load(context.job.plan);
  learning::Reduce(store, context.plan.ExemplarsPerList(context.job.task + 1), MixOf(context.plan));
  const ClassSet& labels = context.task().classes;
  Selected selected;
  for (const learning::ExemplarList& list : store.lists) {
    if (list.domain != context.job.site || !std::binary_search(labels.begin(), labels.end(), list.label)) continue;
    for (const BundleList which : {BundleList::kHerding, BundleList::kUncertainty}) {
      std::uint32_t rank = 0;
      for (const learning::Exemplar& exemplar : which == BundleList::kHerding ? list.herding : list.uncertainty) {
        const auto found = by_digest.find(exemplar.picture);
        if (found == by_digest.end() || !ReadPicture(context, *found->second)) {
          ++selected.left_out;
          continue;
        }
        selected.items.push_back({.picture = exemplar.picture,
                                  .label = static_cast<std::uint16_t>(list.label),
                                  .list = which,
                                  .rank = rank++,
                                  .bytes = static_cast<std::uint32_t>(found->second->bytes)});
        selected.pictures.push_back(found->second);
      }
    }
  }
  return selected;
}

// Takes the pictures of one bundle into the vault, or says why not.
class Intake {
 public:
  Intake(const JobContext& context, const ExpectedBundle& expected)
      : context_(context),
        expected_(expected),
        received_(context.files, context.folder.Vault(), context.job.plan),
        shares_(learning::SharesOf(context.plan.ExemplarsPerList(expected.address.task + 1), MixOf(context.plan))) {}

  ReceivedReport Run(const Path& file) {
    ReceivedReport report{.bundle = expected_.report.file, .held = 0, .trouble = {}};
    try {
      const auto items = OpenSealedBundle(*context_.files.OpenForRead(file), expected_.address,
                                          LoadOrCreateExchangeKey(context_.files, context_.folder.ExchangeKey()),
                                          expected_.report.file,
                                          [&](const BundleItem& item, ByteView picture) { Put(item, picture); });
      if (items.size() != expected_.report.items) Give(BundleTrouble::kItems, "it holds another number of pictures");
      report.held = Keep();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInvalidInput) throw;
      context_.print("the bundle of " + expected_.address.sender + " was not taken in: " + error.what());
      received_.Settle(received_.Lists());
      report.trouble = trouble_.value_or(BundleTrouble::kSeal);
    }
    return report;
  }

 private:
  [[noreturn]] void Give(BundleTrouble trouble, const std::string& what) {
    trouble_ = trouble;
    throw Error(ErrorCode::kInvalidInput, what);
  }

  void Put(const BundleItem& item, ByteView picture) {
    const std::string name = "picture " + item.picture.Hex().substr(0, 12);
    const ClassSet& labels = context_.plan.tasks.at(expected_.address.task).classes;
    const std::size_t room = item.list == BundleList::kHerding ? shares_.herding : shares_.uncertainty;
    if (!std::binary_search(labels.begin(), labels.end(), item.label) || item.rank >= room ||
        item.bytes > context_.plan.rehearsal.picture_bytes) {
      Give(BundleTrouble::kItems, name + " is none that the plan lets that task give");
    }
    const auto decoded = learning::DecodePicture(picture);
    const auto* pixels = std::get_if<cv::Mat>(&decoded);
    if (pixels == nullptr) Give(BundleTrouble::kPicture, name + " cannot be decoded");
    const cv::Mat tile = learning::MakeTile(*pixels, {.side = context_.plan.model.input_px, .crop = 0});
    received_.PutTile(item.picture, {tile.data, tile.total() * tile.elemSize()});
    learning::ExemplarList& list = lists_[item.label];
    list.domain = expected_.address.sender;
    list.label = item.label;
    const std::string source = SourceInBundle(expected_.report.file, place_++);
    (item.list == BundleList::kHerding ? list.herding : list.uncertainty).push_back({item.picture, source});
  }

  // Adds the lists to those that are there, cut to the room of the task that they are for. Returns how many were added.
  std::uint64_t Keep() {
    learning::ExemplarStore added;
    for (auto& [label, list] : lists_) AddList(added, std::move(list));
    const std::uint32_t room = context_.plan.ExemplarsPerList(context_.job.task);
    learning::Reduce(added, room, MixOf(context_.plan));
    learning::ExemplarStore all = received_.Lists();
    learning::Reduce(all, room, MixOf(context_.plan));
    for (const learning::ExemplarList& list : added.lists) {
      // The same job run again replaces what it took in before.
      std::erase_if(all.lists, [&](const learning::ExemplarList& old) {
        return old.domain == list.domain && old.label == list.label;
      });
      AddList(all, list);
    }
    received_.Settle(all);
    return learning::StoredCount(added);
  }

  const JobContext& context_;
  const ExpectedBundle& expected_;
  ReceivedPictures received_;
  learning::ExemplarShares shares_;
  std::map<std::uint32_t, learning::ExemplarList> lists_;
  std::uint64_t place_ = 0;
  std::optional<BundleTrouble> trouble_;
};

}  // namespace

json RunAgreeJob(const JobContext& context) {
  return TrainerKeyReport{.key = LoadOrCreateExchangeKey(context.files, context.folder.ExchangeKey()).PublicKey()}
      .ToJson();
}

json RunSealJob(const JobContext& context) {
  const Job& job = context.job;
  const LabAgreement agreement = RequireAgreement(context);
  const HpkePublicKey key = RecipientKeyOf(job, agreement.operator_key);
  const BundleAddress address{.plan = job.plan, .task = job.task, .sender = job.site, .recipient = job.partner->site};
  const Selected selected = SelectedPictures(context);
  if (selected.left_out > 0) {
    context.print(std::to_string(selected.left_out) + " exemplars do not travel to " + address.recipient +
                  ": they are gone, or larger than the plan's " + std::to_string(context.plan.rehearsal.picture_bytes) +
                  " bytes");
  }
  if (selected.items.empty()) {
    throw Error(ErrorCode::kInvalidInput, job.Name() +
                                              ": none of the task's exemplars can travel (picture_bytes of the "
                                              "plan); take the agreement back, or start with another plan");
  }
  const Path path = context.work / std::string(kBundleFileName);
  const auto begun = [&] {
    if (context.ephemeral_key) {
      return SealedBundleWriter(context.files, path, address, key, selected.items, context.ephemeral_key(address));
    }
    return SealedBundleWriter(context.files, path, address, key, selected.items);
  };
  SealedBundleWriter writer = begun();
  for (std::size_t i = 0; i < selected.items.size(); ++i) {
    context.RequireGoingOn();
    const auto picture = ReadPicture(context, *selected.pictures[i]);
    if (!picture) throw Error(ErrorCode::kUnavailable, job.Name() + ": a picture changed while it was sealed");
    writer.Append(AsBytes(*picture));
    context.progress("sealing exemplars for " + address.recipient, i + 1, selected.items.size(), i + 1);
  }
  const BundleFileInfo file = writer.Finish();
  SealedToOther sent{.task = job.task, .recipient = address.recipient, .file = file.file, .pictures = {}};
  for (const BundleItem& item : selected.items) sent.pictures.push_back(item.picture);
  SentBundles(context.files, context.folder.Vault(), job.plan).Record(sent);
  // Somebody who withdraws a picture now finds it in that record; who did so before is seen here.
  const std::set<Digest> withdrawn = context.vault.Withdrawn();
  if (std::any_of(sent.pictures.begin(), sent.pictures.end(),
                  [&](const Digest& one) { return withdrawn.contains(one); })) {
    throw Error(ErrorCode::kUnavailable, job.Name() + ": a picture was withdrawn while it was sealed");
  }
  return BundleReport{
      .recipient = address.recipient, .file = file.file, .file_bytes = file.file_bytes, .items = selected.items.size()}
      .ToJson();
}

json RunReceiveJob(const JobContext& context) {
  const LabAgreement agreement = RequireAgreement(context);
  const ExpectedBundle expected = ExpectedBundleOf(context.job, agreement.operator_key);
  context.progress("opening the exemplars of " + expected.address.sender, 0, expected.report.items, 0);
  return Intake(context, expected).Run(context.object(expected.report.file)).ToJson();
}

}  // namespace hemafed::trainer
