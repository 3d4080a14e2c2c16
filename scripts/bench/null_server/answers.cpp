#include "answers.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "wire.hpp"

namespace null_server {

namespace {

enum Opcode : std::uint8_t {
  ERROR = 0x00, STARTUP = 0x01, READY = 0x02, OPTIONS = 0x05, SUPPORTED = 0x06, QUERY = 0x07, RESULT = 0x08,
  PREPARE = 0x09, EXECUTE = 0x0A, REGISTER = 0x0B, BATCH = 0x0D
};
enum ResultKind : std::int32_t { VOID = 1, ROWS = 2, SET_KEYSPACE = 3, PREPARED = 4 };
enum MetadataFlag : std::int32_t { ONE_TABLE = 1, MORE_PAGES = 2, NO_METADATA = 4 };
enum QueryFlag : std::uint8_t { VALUES = 0x01, SKIP_METADATA = 0x02, PAGE_SIZE = 0x04, PAGING_STATE = 0x08, NAMED_VALUES = 0x40 };
constexpr std::int32_t PROTOCOL_ERROR = 0x000A;
constexpr std::int32_t UNPREPARED = 0x2500;

const std::string token_marker = "partition key token";  // as Cassandra calls what token(…) is compared with
const std::string payload = "a text of some forty characters, not more";

const std::vector<Column> plain_table = {
    {"id", "int"}, {"name", "text"}, {"big", "bigint"}, {"ratio", "double"}, {"flag", "boolean"}};
const std::vector<Column> mixed_table = {
    {"number", "int"}, {"big", "bigint"},       {"name", "text"}, {"ratio", "double"},    {"flag", "boolean"},
    {"key", "uuid"},   {"moment", "timestamp"}, {"data", "blob"}, {"items", "list<int>"}, {"counts", "map<text,int>"}};
const std::vector<Column> bulk_table = {{"id", "int"}, {"name", "text"}, {"big", "bigint"}, {"ratio", "double"}, {"data", "blob"}};
constexpr std::uint32_t mixed_rows = 100;
constexpr std::uint32_t bulk_rows_encoded = 100'000;  // a table of millions is these rows again and again
constexpr std::uint32_t lone_row = 12345;  // not a number that an interpreter keeps ready

const std::vector<Column> local_table = {
    {"key", "text"}, {"bootstrapped", "text"}, {"broadcast_address", "inet"}, {"cluster_name", "text"},
    {"cql_version", "text"}, {"data_center", "text"}, {"host_id", "uuid"}, {"listen_address", "inet"},
    {"native_protocol_version", "text"}, {"partitioner", "text"}, {"rack", "text"}, {"release_version", "text"},
    {"rpc_address", "inet"}, {"schema_version", "uuid"}, {"tokens", "set<text>"}};

/// Columns outside these tables that clients ask for, whose type is not text.
const std::map<std::string, std::string, std::less<>> other_types = {
    {"part", "int"}, {"peer", "inet"}, {"preferred_ip", "inet"}, {"position", "int"}, {"durable_writes", "boolean"},
    {token_marker, "bigint"}, {"replication", "map<text,text>"}, {"field_names", "list<text>"}, {"field_types", "list<text>"}};

/// The [option] that stands for a type in metadata.
std::string option(std::string_view type) {
  static const std::map<std::string, std::uint16_t, std::less<>> codes = {
      {"bigint", 0x02}, {"blob", 0x03}, {"boolean", 0x04}, {"double", 0x07}, {"int", 0x09}, {"timestamp", 0x0B},
      {"uuid", 0x0C}, {"text", 0x0D}, {"inet", 0x10}, {"list", 0x20}, {"map", 0x21}, {"set", 0x22}};
  const std::size_t bracket = type.find('<');
  std::string out;
  Writer(out).shorter(codes.find(type.substr(0, bracket))->second);
  if (bracket != type.npos) {
    const std::string_view inner = type.substr(bracket + 1, type.size() - bracket - 2);
    const std::size_t comma = inner.find(',');
    out += option(inner.substr(0, comma));
    if (comma != inner.npos) out += option(inner.substr(comma + 1));
  }
  return out;
}

std::string type_of(const std::string& name, const char* unknown) {
  for (const auto* table : {&plain_table, &mixed_table, &bulk_table, &local_table}) {
    const auto found = std::find_if(table->begin(), table->end(), [&](const Column& column) { return column.name == name; });
    if (found != table->end()) return found->type;
  }
  const auto found = other_types.find(name);
  return found != other_types.end() ? found->second : unknown;
}

std::string table_metadata(const std::string& keyspace, const std::string& table, const std::vector<Column>& columns) {
  std::string out;
  Writer writer(out);
  writer.string(keyspace).string(table);
  for (const Column& column : columns) writer.string(column.name).raw(option(column.type));
  return out;
}

bool is_word(char character) {
  return std::isalnum(static_cast<unsigned char>(character)) != 0 || character == '_' || character == '.' || character == '"';
}

/// Lower case, words and signs apart by one space, so that texts compare and split easily: "select a , b from t".
std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> found;
  bool inside = false;
  for (const char character : text) {
    if (std::isspace(static_cast<unsigned char>(character)) != 0) {
      inside = false;
      continue;
    }
    if (character == '"') continue;
    if (!is_word(character) || !inside) found.emplace_back();
    found.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(character)));
    inside = is_word(character);
  }
  return found;
}

std::size_t position(const std::vector<std::string>& all, const char* word) {
  return static_cast<std::size_t>(std::find(all.begin(), all.end(), word) - all.begin());
}

/// The columns that the markers of a statement stand for.
std::vector<Column> parameters(const std::vector<std::string>& all) {
  std::vector<Column> found;
  if (all.empty()) return found;
  std::vector<std::string> inserted;
  const std::size_t values = position(all, "values");
  if (all[0] == "insert") {
    for (std::size_t i = 4; i < values && all[i] != ")"; i += 2) inserted.push_back(all[i]);
  }
  for (std::size_t i = 1, element = 0; i < all.size(); ++i) {
    if (all[i] == "," && i > values) ++element;
    if (all[i] != "?") continue;
    std::string name;
    if (i > values && element < inserted.size()) {
      name = inserted[element];
    } else {
      std::size_t sign = i;
      while (sign > 1 && (all[sign - 1] == "<" || all[sign - 1] == ">" || all[sign - 1] == "=")) --sign;
      if (sign < i) name = all[sign - 1] == ")" ? token_marker : all[sign - 1];
    }
    const bool is_named = !name.empty();
    found.push_back({is_named ? name : "p" + std::to_string(found.size()), is_named ? type_of(name, "text") : "blob"});
  }
  return found;
}

}  // namespace

Answers::Answers(const std::string& address, std::uint32_t table_rows, std::uint32_t bulk_rows)
    : table_rows_(table_rows), bulk_rows_(bulk_rows) {
  in_addr parsed{};
  inet_pton(AF_INET, address.c_str(), &parsed);
  address_.assign(reinterpret_cast<const char*>(&parsed), sizeof parsed);
}

/// The bytes of one value: of `table`'s row with this number, or of the only row of system.local.
std::string Answers::cell(const std::string& table, const Column& column, std::uint32_t row) const {
  std::string out;
  Writer writer(out);
  if (table == "system.local") {
    static const std::map<std::string, std::string> texts = {
        {"key", "local"}, {"bootstrapped", "COMPLETED"}, {"cluster_name", "null"}, {"cql_version", "3.4.5"},
        {"data_center", "datacenter1"}, {"native_protocol_version", "4"}, {"rack", "rack1"}, {"release_version", "4.1.0"},
        {"partitioner", "org.apache.cassandra.dht.Murmur3Partitioner"}};
    if (column.type == "inet") return address_;
    if (column.type == "uuid") return std::string("\x11\x22\x33\x44\x55\x66\x47\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 15) + column.name[0];
    if (column.type == "set<text>") return (writer.integer(1).bytes("0"), out);
    return texts.at(column.name);
  }
  if (column.type == "int") {
    writer.integer(static_cast<std::int32_t>(table == "mixed" ? 1000 + row : row));
  } else if (column.type == "bigint") {
    writer.number(static_cast<std::uint64_t>(row) << 20);
  } else if (column.type == "text") {
    writer.raw(payload);
  } else if (column.type == "double") {
    const double value = row / 7.0;
    std::uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    writer.number(bits);
  } else if (column.type == "boolean") {
    writer.byte(row % 2 == 0);
  } else if (column.type == "uuid") {
    writer.number(std::uint64_t{0x1234567890AB4000}).number(std::uint64_t{0x8000000000000000} | row);
  } else if (column.type == "timestamp") {
    writer.number(std::uint64_t{1700000000000} + std::uint64_t{row} * 86400123);
  } else if (column.type == "blob") {
    out.assign(32, static_cast<char>(row));
  } else if (column.type == "list<int>") {
    writer.integer(5);
    for (std::int32_t i = 0; i < 5; ++i) writer.integer(4).integer(static_cast<std::int32_t>(1000 * row) + i);
  } else {  // map<text,int>
    writer.integer(3);
    for (const char* key : {"first", "second", "third"}) writer.bytes(key).integer(4).integer(static_cast<std::int32_t>(1000 + row));
  }
  return out;
}

/// What a SELECT gives: system.local one row, `rows` one or all of them, `mixed` a hundred, every other table none.
std::unique_ptr<const Rows> Answers::select(const std::string& text) const {
  const std::vector<std::string> all = words(text);
  const std::size_t from = position(all, "from");
  if (all.empty() || all[0] != "select" || from + 1 >= all.size()) return nullptr;
  std::string keyspace = "bench";
  std::string table = all[from + 1];
  if (const std::size_t dot = table.find('.'); dot != table.npos) {
    keyspace = table.substr(0, dot);
    table.erase(0, dot + 1);
  }
  const bool is_local = keyspace == "system" && table == "local";
  const bool is_system = keyspace.rfind("system", 0) == 0;
  std::vector<Column> columns;
  if (all[1] != "*") {
    for (std::size_t i = 1; i < from; ++i) {
      if (is_word(all[i][0])) columns.push_back({all[i], type_of(all[i], "text")});
    }
  } else if (is_local) {
    columns = local_table;
  } else if (!is_system && table == "rows") {
    columns = plain_table;
  } else if (!is_system && table == "mixed") {
    columns = mixed_table;
  } else if (!is_system && table == "bulk") {
    columns = bulk_table;
  }
  if (columns.empty()) columns.push_back({is_system ? "keyspace_name" : "value", "text"});
  const bool is_known = std::all_of(columns.begin(), columns.end(), [&](const Column& column) {
    const auto& known = is_local ? local_table : table == "rows" ? plain_table : table == "bulk" ? bulk_table : mixed_table;
    return std::any_of(known.begin(), known.end(), [&](const Column& other) { return other.name == column.name; });
  });
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  if (is_local && is_known) {
    count = 1;
  } else if (!is_system && is_known && table == "rows") {
    const bool is_lone = position(all, "where") < all.size();
    first = is_lone ? lone_row : 0;
    count = is_lone ? 1 : table_rows_;
  } else if (!is_system && is_known && table == "mixed") {
    count = mixed_rows;
  } else if (!is_system && is_known && table == "bulk") {
    count = bulk_rows_;
  }
  auto rows = std::make_unique<Rows>();
  rows->columns = static_cast<std::int32_t>(columns.size());
  rows->metadata = table_metadata(keyspace, table, columns);
  rows->count = count;
  rows->is_of_tokens = position(all, "token") < all.size();
  Writer writer(rows->cells);
  for (std::uint32_t row = first; row < first + std::min(count, bulk_rows_encoded); ++row) {
    for (const Column& column : columns) writer.bytes(cell(is_local ? "system.local" : table, column, row));
    rows->ends.push_back(rows->cells.size());
  }
  return rows;
}

/// What system_schema.columns says of each table whose first column is its key; nothing when the text asks for anything else.
std::map<std::string, Rows, std::less<>> Answers::descriptions(const std::string& text) const {
  std::map<std::string, Rows, std::less<>> found;
  const std::vector<std::string> all = words(text);
  const std::size_t from = position(all, "from");
  if (from + 1 >= all.size() || all[from + 1] != "system_schema.columns" || position(all, "table_name") >= all.size()) return found;
  std::vector<Column> asked;
  for (std::size_t i = 1; i < from; ++i) {
    if (is_word(all[i][0])) asked.push_back({all[i], type_of(all[i], "text")});
  }
  const bool is_of_key = position(all, "partition_key") < all.size();
  for (const auto& [name, table] : {std::pair("rows", &plain_table), {"bulk", &bulk_table}}) {
    Rows& rows = found[name];
    rows.columns = static_cast<std::int32_t>(asked.size());
    rows.metadata = table_metadata("system_schema", "columns", asked);
    rows.count = static_cast<std::uint32_t>(is_of_key ? 1 : table->size());
    Writer writer(rows.cells);
    for (std::uint32_t row = 0; row < rows.count; ++row) {
      for (const Column& column : asked) {
        if (column.name == "position") {
          writer.integer(4).integer(row == 0 ? 0 : -1);
        } else {
          writer.bytes(column.name == "column_name" ? (*table)[row].name : row == 0 ? "partition_key" : "regular");
        }
      }
      rows.ends.push_back(rows.cells.size());
    }
  }
  return found;
}

const Statement& Answers::statement(std::string_view text) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto known = by_text_.find(text);
  if (known != by_text_.end()) return *by_number_[known->second];
  if (by_text_.size() == by_number_.size()) {
    std::fprintf(stderr, "null_server: more than %zu different statements\n", by_number_.size());
    std::_Exit(1);
  }
  const auto number = static_cast<std::uint32_t>(by_text_.size());
  auto* made = new Statement;
  made->rows = select(std::string(text));
  made->of_table = descriptions(std::string(text));
  const std::vector<Column> markers = parameters(words(text));
  Writer writer(made->prepared);
  std::string id;
  Writer(id).integer(static_cast<std::int32_t>(number)).raw("null server ");
  writer.integer(PREPARED).string(id);
  writer.integer(markers.empty() ? 0 : ONE_TABLE).integer(static_cast<std::int32_t>(markers.size()));
  const auto key = std::find_if(markers.begin(), markers.end(), [](const Column& column) { return column.name == "id" || column.name == "part"; });
  if (key == markers.end()) {
    writer.integer(0);
  } else {
    writer.integer(1).shorter(static_cast<std::uint16_t>(key - markers.begin()));
  }
  if (!markers.empty()) writer.raw(table_metadata("bench", "rows", markers));
  if (made->rows) {
    writer.integer(ONE_TABLE).integer(made->rows->columns).raw(made->rows->metadata);
  } else {
    writer.integer(NO_METADATA).integer(0);
  }
  by_number_[number] = made;
  by_text_.emplace(text, number);
  return *made;
}

namespace {

struct Paging {
  std::array<std::string_view, 2> values;  // the first ones
  bool skip_metadata = false;
  std::int32_t page_size = 0;
  std::uint32_t first = 0;
};

Paging read_paging(Reader& request) {
  Paging paging;
  request.shorter();  // consistency
  const std::uint8_t flags = request.byte();
  if ((flags & VALUES) != 0) {
    const unsigned count = request.shorter();
    for (unsigned i = 0; i < count && request.is_sound(); ++i) {
      if ((flags & NAMED_VALUES) != 0) request.string();
      const std::string_view value = request.bytes();
      if (i < paging.values.size()) paging.values[i] = value;
    }
  }
  paging.skip_metadata = (flags & SKIP_METADATA) != 0;
  if ((flags & PAGE_SIZE) != 0) paging.page_size = request.integer();
  if ((flags & PAGING_STATE) != 0) paging.first = static_cast<std::uint32_t>(Reader(request.bytes()).integer());
  return paging;
}

/// How many rows have a token up to the given one: they lie evenly on the ring.
std::uint32_t rows_up_to(std::string_view token, std::uint32_t count) {
  const std::uint64_t place = Reader(token).number<std::uint64_t>() + (std::uint64_t{1} << 63);
  const auto [high, low] = std::pair(place >> 32, place & 0xFFFFFFFF);
  if (place == ~std::uint64_t{0}) return count;
  return static_cast<std::uint32_t>((high * count + (low * count >> 32)) >> 32);
}

void write_rows(const Statement& statement, const Paging& paging, Writer& writer) {
  const auto described = statement.of_table.find(paging.values[1]);
  const Rows& rows = described != statement.of_table.end() ? described->second : *statement.rows;
  const std::uint32_t begin = rows.is_of_tokens ? rows_up_to(paging.values[0], rows.count) : 0;
  const std::uint32_t end = std::max(begin, rows.is_of_tokens ? rows_up_to(paging.values[1], rows.count) : rows.count);
  const std::uint32_t first = std::clamp(paging.first, begin, end);
  const std::uint32_t left = end - first;
  const std::uint32_t count = paging.page_size > 0 ? std::min(left, static_cast<std::uint32_t>(paging.page_size)) : left;
  const bool has_more = count < left;
  writer.integer(ROWS);
  writer.integer((paging.skip_metadata ? NO_METADATA : ONE_TABLE) | (has_more ? MORE_PAGES : 0)).integer(rows.columns);
  if (has_more) writer.integer(4).integer(static_cast<std::int32_t>(first + count));
  if (!paging.skip_metadata) writer.raw(rows.metadata);
  writer.integer(static_cast<std::int32_t>(count));
  for (std::size_t row = first, others = count; others > 0;) {
    const std::size_t at = row % rows.ends.size();
    const std::size_t together = std::min(others, rows.ends.size() - at);
    const std::size_t start = at == 0 ? 0 : rows.ends[at - 1];
    writer.raw(std::string_view(rows.cells).substr(start, rows.ends[at + together - 1] - start));
    row += together;
    others -= together;
  }
}

}  // namespace

bool Answers::respond(std::uint8_t version, std::uint8_t flags, std::uint16_t stream, std::uint8_t opcode,
                      std::string_view body, std::string& out) {
  const std::size_t start = out.size();
  Writer writer(out);
  writer.byte(0x84).byte(0).shorter(stream).byte(RESULT).integer(0);
  const auto become = [&](Opcode answer) { out[start + 4] = static_cast<char>(answer); };
  const auto refuse = [&](std::int32_t code, std::string_view message) {
    become(ERROR);
    writer.integer(code).string(message);
  };
  Reader request(body);
  if ((flags & 0x04) != 0) {  // a custom payload
    for (unsigned left = request.shorter(); left > 0 && request.is_sound(); --left) {
      request.string();
      request.bytes();
    }
  }
  if (version != 4) {
    refuse(PROTOCOL_ERROR, "Invalid or unsupported protocol version (" + std::to_string(version) + "); supported is 4");
  } else if (opcode == OPTIONS) {
    become(SUPPORTED);
    writer.shorter(3).string("CQL_VERSION").shorter(1).string("3.4.5");
    writer.string("COMPRESSION").shorter(0).string("PROTOCOL_VERSIONS").shorter(1).string("4/v4");
  } else if (opcode == STARTUP || opcode == REGISTER) {
    become(READY);
  } else if (opcode == BATCH) {
    writer.integer(VOID);
  } else if (opcode == PREPARE) {
    const std::string_view text = request.long_string();
    if (request.is_sound()) writer.raw(statement(text).prepared);
  } else if (opcode == EXECUTE) {
    const std::string_view id = request.string();
    const std::int32_t number = Reader(id).integer();
    const auto known = static_cast<std::uint32_t>(number) < by_number_.size() ? by_number_[static_cast<std::size_t>(number)].load() : nullptr;
    if (known == nullptr || id.size() != 16) {
      refuse(UNPREPARED, "a statement that was never prepared here");
      writer.string(id);
    } else if (known->rows) {
      write_rows(*known, read_paging(request), writer);
    } else {
      writer.integer(VOID);
    }
  } else if (opcode == QUERY) {
    const std::string_view text = request.long_string();
    const Paging paging = read_paging(request);
    const std::vector<std::string> all = request.is_sound() ? words(text.substr(0, 4096)) : std::vector<std::string>{};
    if (all.size() > 1 && all[0] == "use") {
      writer.integer(SET_KEYSPACE).string(all[1]);
    } else if (!all.empty() && all[0] == "select" && statement(text).rows) {
      write_rows(statement(text), paging, writer);
    } else {
      writer.integer(VOID);
    }
  } else {
    refuse(PROTOCOL_ERROR, "unexpected opcode " + std::to_string(opcode));
  }
  const auto size = static_cast<std::uint32_t>(out.size() - start - 9);
  for (int i = 0; i < 4; ++i) out[start + 5 + static_cast<std::size_t>(i)] = static_cast<char>(size >> (24 - 8 * i));
  return request.is_sound();
}

}  // namespace null_server
