/// What the null server answers: nothing is stored, rows are made from their number when a statement is first seen.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace null_server {

struct Column {
  std::string name;
  std::string type;  // as CQL writes it
};

/// The rows that a SELECT gives, encoded once.
struct Rows {
  std::string metadata;  // keyspace, table and columns as result metadata has them
  std::int32_t columns = 0;
  std::string cells;
  std::vector<std::size_t> ends;  // of each row within cells
  std::uint32_t count = 0;        // may be more than are encoded: these come again and again
  bool is_of_tokens = false;      // only those between the first two values, by the token of each row
};

struct Statement {
  std::unique_ptr<const Rows> rows;            // nullptr for what returns none
  std::map<std::string, Rows, std::less<>> of_table;  // instead, for what is asked of system_schema about the table of the second value
  std::string prepared;                        // the body that answers its PREPARE
};

/// Shared by all threads.
class Answers {
 public:
  /// `address` (dotted) is what system.local says; `table_rows` and `bulk_rows` are the sizes of the tables that are read in pages.
  Answers(const std::string& address, std::uint32_t table_rows, std::uint32_t bulk_rows);

  /// Appends the frame that answers a request to `out`. Returns false for a request that makes no sense.
  bool respond(std::uint8_t version, std::uint8_t flags, std::uint16_t stream, std::uint8_t opcode, std::string_view body,
               std::string& out);

 private:
  const Statement& statement(std::string_view text);
  std::unique_ptr<const Rows> select(const std::string& text) const;
  std::map<std::string, Rows, std::less<>> descriptions(const std::string& text) const;
  std::string cell(const std::string& table, const Column& column, std::uint32_t row) const;

  std::string address_;  // four bytes
  std::uint32_t table_rows_;
  std::uint32_t bulk_rows_;
  std::mutex mutex_;  // guards by_text_
  std::map<std::string, std::uint32_t, std::less<>> by_text_;  // number of each statement seen
  std::array<std::atomic<const Statement*>, 65536> by_number_ = {};  // never freed; a statement's id is its number
};

}  // namespace null_server
