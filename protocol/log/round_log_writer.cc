// protocol/log/round_log_writer.cc
// SPDX-License-Identifier: Apache-2.0
#include "protocol/log/round_log_writer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/error.h"
#include "protocol/log/journal.h"
#include "protocol/log/tile_builder.h"

namespace hemafed {

namespace {

constexpr const char* kJournalName = "journal";
constexpr const char* kCheckpointName = "checkpoint";

[[noreturn]] void ThrowLost(const Path& journal, std::uint64_t entry, const std::string& reason) {
  throw Error(ErrorCode::kCorrupt, journal.string() + ": entry " + std::to_string(entry) + ": " + reason +
                                       "; restore the file from a copy, nothing was changed");
}

// Creates the folder and makes its name durable, with the names of the folders above it. Called as long as there is no
// journal, so that a folder which an earlier, failed call left behind unsynced is synced now.
void CreateDurableFolder(FileSystem& files, const Path& folder) {
  struct Parent {
    Path path;
    bool has_new_child;
  };
  std::vector<Parent> parents;
  for (Path child = folder; child.has_relative_path(); child = child.parent_path()) {
    parents.push_back({child.parent_path(), !files.Exists(child)});
  }
  files.CreateFolders(folder);
  for (const Parent& parent : parents) {
    try {
      files.SyncDirectory(parent.path);
    } catch (const Error&) {
      if (parent.has_new_child) throw;  // Otherwise it is somebody else's folder, which we need not be able to open.
    }
  }
}

std::string SignCheckpoint(const NoteKey& key, const Ed25519KeyPair& signer, std::uint64_t size, const Digest& root) {
  Note note;
  note.text = Checkpoint{key.name, size, root, {}}.Encode();
  note.signatures.push_back(SignNote(note.text, key.name, signer));
  return note.Encode();
}

}  // namespace

struct RoundLogWriter::State {
  State(FileSystem& files, const Path& folder, NoteKey log_key, Ed25519KeyPair log_signer)
      : tiles(files, folder), key(std::move(log_key)), signer(std::move(log_signer)) {}

  TileFolder tiles;
  NoteKey key;
  Ed25519KeyPair signer;
  TileBuilder builder;
  std::unique_ptr<WritableFile> journal;
  std::uint64_t journal_bytes = 0;
  Digest root;
  std::string note;
  Recovery recovery;
  bool failed = false;

  [[nodiscard]] Path JournalPath() const { return tiles.folder() / kJournalName; }

  void RequireUsable() const {
    if (!failed) return;
    throw Error(ErrorCode::kConflict, "the round log in " + tiles.folder().string() +
                                          " stopped at an earlier error; open it again to see what was stored");
  }

  void Recover();
  void CompareWithTiles(const std::optional<Checkpoint>& published, JournalScan& scan, bool& differs);
  void RepairTiles();
  void WriteIfDifferent(const std::string& path, std::string_view content);
  void WriteCheckpoint();
  void ReadBundle(std::uint64_t bundle, const std::function<void(std::uint64_t, std::string_view)>& visit) const;
};

// First pass over the journal: nothing is written, so that a journal found wrong leaves the tiles as they are, the
// copy from which a person can restore it.
void RoundLogWriter::State::CompareWithTiles(const std::optional<Checkpoint>& published, JournalScan& scan,
                                             bool& differs) {
  const auto compare = [&](const std::string& path, std::string_view content) {
    differs =
        differs || tiles.Read(path, content.size()) != content || tiles.files().Exists(tiles.folder() / (path + ".p"));
  };
  const auto check_root = [&] {
    if (!published || builder.size() != published->size || builder.root() == published->root) return;
    throw Error(ErrorCode::kCorrupt, JournalPath().string() + ": its first " + std::to_string(published->size) +
                                         " entries do not lead to the root that the checkpoint states; one of the two "
                                         "is from another time or log, restore both from one copy");
  };
  check_root();
  if (tiles.files().Exists(JournalPath())) {
    scan = ScanJournal(*tiles.files().OpenForRead(JournalPath()), [&](std::string_view entry, const Digest& leaf) {
      builder.Add(entry, leaf, compare);
      check_root();
    });
  }
  if (scan.end == JournalEnd::kDamaged) {
    ThrowLost(JournalPath(), scan.entries, scan.reason + " at byte " + std::to_string(scan.whole_bytes));
  }
  if (published && scan.entries < published->size) {
    ThrowLost(JournalPath(), scan.entries,
              (scan.reason.empty() ? "the file ends before it" : scan.reason) + ", although the checkpoint covers " +
                  std::to_string(published->size) + " entries");
  }
}

void RoundLogWriter::State::RepairTiles() {
  TileBuilder again;
  const JournalScan scan =
      ScanJournal(*tiles.files().OpenForRead(JournalPath()), [&](std::string_view entry, const Digest& leaf) {
        again.Add(entry, leaf, [&](const std::string& path, std::string_view content) {
          WriteIfDifferent(path, content);
          tiles.RemovePartials(path);
        });
      });
  if (scan.end != JournalEnd::kClean || again.root() != builder.root()) {
    throw Error(ErrorCode::kCorrupt, JournalPath().string() + " changed while it was read; check the disk");
  }
}

void RoundLogWriter::State::WriteIfDifferent(const std::string& path, std::string_view content) {
  if (tiles.Read(path, content.size()) == content) return;
  tiles.Write(path, content);
  ++recovery.repaired_files;
}

void RoundLogWriter::State::Recover() {
  FileSystem& files = tiles.files();
  if (!files.Exists(JournalPath())) CreateDurableFolder(files, tiles.folder());
  std::optional<Checkpoint> published;
  if (const auto stored = tiles.Read(kCheckpointName, kMaxNoteBytes)) {
    published = OpenCheckpoint(*stored, key, (tiles.folder() / kCheckpointName).string());
    note = *stored;
  }
  JournalScan scan;
  bool tiles_differ = false;
  CompareWithTiles(published, scan, tiles_differ);

  // From here on the journal is known to be good as far as it goes.
  if (scan.whole_bytes < scan.file_bytes) {
    recovery.torn_bytes = scan.file_bytes - scan.whole_bytes;
    files.Truncate(JournalPath(), scan.whole_bytes);
  }
  journal = files.OpenForAppend(JournalPath());
  journal_bytes = scan.whole_bytes;
  if (journal_bytes == 0) {
    journal->Append(kJournalHeader);
    journal_bytes = kJournalHeader.size();
  }
  // Also where nothing was written: records that a crash left may not have reached the disk yet.
  journal->Sync();
  files.SyncDirectory(tiles.folder());

  if (tiles_differ) RepairTiles();
  builder.EmitPartials([&](const std::string& path, std::string_view content) { WriteIfDifferent(path, content); });
  root = builder.root();
  if (!published || published->size != builder.size()) {
    if (builder.size() > 0) ++recovery.repaired_files;
    WriteCheckpoint();
  }
}

void RoundLogWriter::State::WriteCheckpoint() {
  note = SignCheckpoint(key, signer, builder.size(), root);
  const Path path = tiles.folder() / kCheckpointName;
  const Path temporary = path.string() + ".tmp";
  const auto file = tiles.files().Create(temporary);
  file->Append(note);
  file->Sync();
  file->Close();
  tiles.files().Rename(temporary, path);
}

// Visits the entries of one published bundle in order, each once its leaf hash is found to be right.
void RoundLogWriter::State::ReadBundle(std::uint64_t bundle,
                                       const std::function<void(std::uint64_t, std::string_view)>& visit) const {
  const unsigned width = TileWidthAt(builder.size(), 0, bundle);
  const auto bytes = tiles.ReadBundle(bundle, width);
  const auto tile = tiles.ReadTile(0, bundle, width);
  const auto leaves = tile ? DecodeTile(*tile, width) : std::nullopt;
  BundleReader reader(bytes ? std::string_view(*bytes) : std::string_view());
  for (unsigned i = 0; i < width; ++i) {
    const std::uint64_t index = bundle * kTileWidth + i;
    const auto entry = reader.Next();
    if (!leaves || !entry || LeafHash(*entry) != (*leaves)[i]) {
      throw Error(ErrorCode::kCorrupt, "entry " + std::to_string(index) + " in " +
                                           (tiles.folder() / BundlePath(bundle, width)).string() +
                                           " or its hash tile is damaged; start again to repair them from the journal");
    }
    visit(index, *entry);
  }
}

RoundLogWriter::RoundLogWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
RoundLogWriter::RoundLogWriter(RoundLogWriter&&) noexcept = default;
RoundLogWriter& RoundLogWriter::operator=(RoundLogWriter&&) noexcept = default;
RoundLogWriter::~RoundLogWriter() = default;

RoundLogWriter RoundLogWriter::Open(FileSystem& files, const Path& folder, const std::string& origin,
                                    const Ed25519KeyPair& key) {
  if (!IsKeyName(origin)) {
    throw Error(ErrorCode::kInvalidInput, "'" + origin +
                                              "' cannot name a log: use 1 to 255 characters without space "
                                              "and '+', such as example.org/consortium");
  }
  auto state = std::make_unique<State>(files, folder, NoteKey{origin, NoteKeyType::kEd25519, key.PublicKey()}, key);
  state->Recover();
  return RoundLogWriter(std::move(state));
}

std::uint64_t RoundLogWriter::Append(std::string_view entry) {
  const std::string copy(entry);
  return AppendBatch({&copy, 1});
}

std::uint64_t RoundLogWriter::AppendBatch(std::span<const std::string> entries) {
  State& state = *state_;
  state.RequireUsable();
  if (entries.empty()) throw Error(ErrorCode::kInvalidInput, "a batch of log entries needs at least one");
  std::string records;
  std::vector<Digest> leaves;
  for (const std::string& entry : entries) {
    leaves.push_back(LeafHash(entry));
    AppendJournalRecord(records, entry, leaves.back());
    if (records.size() > kMaxBatchBytes) {
      throw Error(ErrorCode::kInvalidInput, "a batch of log entries is over the limit of " +
                                                std::to_string(kMaxBatchBytes) + " bytes; append it in parts");
    }
  }

  const std::uint64_t first = state.builder.size();
  state.failed = true;  // Until everything is done.
  try {
    state.journal->Append(records);
    state.journal->Sync();
  } catch (const Error&) {
    // After a failed sync the kernel may show bytes that the disk does not have; they must not be taken for durable
    // when the log is opened again. If this fails too, Open finds a torn tail or an entry nobody was told about.
    try {
      state.tiles.files().Truncate(state.JournalPath(), state.journal_bytes);
    } catch (const Error&) {
    }
    throw;
  }
  state.journal_bytes += records.size();

  std::vector<std::string> filled;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    state.builder.Add(entries[i], leaves[i], [&](const std::string& path, std::string_view content) {
      state.tiles.Write(path, content);
      filled.push_back(path);
    });
  }
  state.builder.EmitPartials(
      [&](const std::string& path, std::string_view content) { state.tiles.Write(path, content); });
  state.root = state.builder.root();
  state.WriteCheckpoint();
  for (const std::string& path : filled) state.tiles.RemovePartials(path);
  state.failed = false;
  return first;
}

std::uint64_t RoundLogWriter::size() const {
  state_->RequireUsable();
  return state_->builder.size();
}

Digest RoundLogWriter::root() const {
  state_->RequireUsable();
  return state_->root;
}

const NoteKey& RoundLogWriter::key() const { return state_->key; }

const RoundLogWriter::Recovery& RoundLogWriter::recovery() const { return state_->recovery; }

const std::string& RoundLogWriter::CheckpointNote() const {
  state_->RequireUsable();
  return state_->note;
}

std::string RoundLogWriter::Entry(std::uint64_t index) const {
  if (index >= size()) {
    throw Error(ErrorCode::kInvalidInput,
                "there is no entry " + std::to_string(index) + " in a log of " + std::to_string(size()) + " entries");
  }
  std::string found;
  state_->ReadBundle(index / kTileWidth, [&](std::uint64_t at, std::string_view entry) {
    if (at == index) found = entry;
  });
  return found;
}

void RoundLogWriter::ForEach(std::uint64_t first,
                             const std::function<void(std::uint64_t index, std::string_view entry)>& visit) const {
  for (std::uint64_t bundle = first / kTileWidth; bundle * kTileWidth < size(); ++bundle) {
    state_->ReadBundle(bundle, [&](std::uint64_t at, std::string_view entry) {
      if (at >= first) visit(at, entry);
    });
  }
}

MerkleProof RoundLogWriter::InclusionProof(std::uint64_t index) const {
  const PerfectSubtrees subtrees = state_->tiles.Subtrees(size());
  MerkleProof proof = hemafed::InclusionProof(index, size(), subtrees);
  if (!VerifyInclusion(index, size(), subtrees(0, index), proof, state_->root)) {
    throw Error(ErrorCode::kCorrupt, "the hash tiles in " + state_->tiles.folder().string() + " do not prove entry " +
                                         std::to_string(index) +
                                         "; open the log again to repair them from the journal");
  }
  return proof;
}

MerkleProof RoundLogWriter::ConsistencyProof(std::uint64_t old_size) const {
  const PerfectSubtrees subtrees = state_->tiles.Subtrees(size());
  MerkleProof proof = hemafed::ConsistencyProof(old_size, size(), subtrees);
  if (!VerifyConsistency(old_size, size(), proof, TreeRoot(old_size, subtrees), state_->root)) {
    throw Error(ErrorCode::kCorrupt, "the hash tiles in " + state_->tiles.folder().string() + " do not lead from " +
                                         std::to_string(old_size) +
                                         " entries to now; open the log again to repair them from the journal");
  }
  return proof;
}

}  // namespace hemafed
