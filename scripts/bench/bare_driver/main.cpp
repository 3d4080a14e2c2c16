/// The C++ driver without Python, on the library that the package uses: what a binding is measured against.
///
/// bare_driver MODE LIBRARY LIBPYTHON SETTINGS. Takes orders and answers as worker.py does: JSON, a line each. MODE says who
/// sends the next request when one is done: `eventfd`, the main thread, which completions wake through one eventfd (what
/// any binding to an event loop has to do); `callback`, the driver's thread at once.

#include <dlfcn.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <fstream>
#include <iostream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "callbacks.hpp"
#include "handles.hpp"
#include "values.hpp"

namespace {

using namespace acsylla_like;
using Clock = std::chrono::steady_clock;

constexpr std::size_t different_rows = 4096;
const std::string payload = "a text of some forty characters, not more";
constexpr std::size_t data_size = 32;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "bare_driver: %s\n", what.c_str());
  std::_Exit(1);
}

/// The value of a key in one flat JSON object whose strings hold no escapes, which is what the bench sends.
std::string field(const std::string& json, const std::string& key, const std::string& otherwise = "") {
  std::size_t at = json.find("\"" + key + "\":");
  if (at == json.npos) return otherwise;
  at = json.find_first_not_of(' ', at + key.size() + 3);
  if (json[at] != '"') return json.substr(at, json.find_first_of(",}", at) - at);
  return json.substr(at + 1, json.find('"', at + 1) - at - 1);
}

std::size_t number(const std::string& json, const std::string& key, const std::string& otherwise) {
  return std::stoul(field(json, key, otherwise));
}

double process_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

long memory_kib(const char* name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(name, 0) == 0) return std::stol(line.substr(line.find(':') + 1));
  }
  return 0;
}

/// The most memory that this process ever held. Not getrusage's figure, which begins with the parent's.
long peak_kib() { return memory_kib("VmHWM:"); }

/// The CPU time of another process so far, 0 where it is not known.
double seconds_of(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string line;
  if (pid == "0" || !std::getline(file, line)) return 0;
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string field;
  double ticks = 0;
  for (int i = 0; i < 13 && fields >> field; ++i) {
    if (i >= 11) ticks += std::stod(field);
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

/// The rows of `bulk` as a C++ program has them at hand.
struct BulkArrays {
  std::vector<std::int32_t> ids;
  std::string names;  // all of one size
  std::vector<std::int64_t> bigs;
  std::vector<double> ratios;
  std::vector<std::uint8_t> data;

  void resize(std::size_t count) {
    const std::size_t had = ids.size();
    ids.resize(count);
    bigs.resize(count);
    ratios.resize(count);
    names.resize(count * payload.size());
    data.resize(count * data_size);
    for (std::size_t i = had; i < count; ++i) {
      ids[i] = static_cast<std::int32_t>(i);
      bigs[i] = static_cast<std::int64_t>(i) << 20;
      ratios[i] = static_cast<double>(i) / 7;
      names.replace(i * payload.size(), payload.size(), payload);
      std::fill_n(data.begin() + static_cast<std::ptrdiff_t>(i * data_size), data_size, static_cast<std::uint8_t>(i));
    }
  }
};

void check(CassFuture* future) {
  if (driver.cass_future_error_code(future) == CASS_OK) return;
  const char* message = nullptr;
  std::size_t size = 0;
  driver.cass_future_error_message(future, &message, &size);
  fail(std::string(message, size));
}

class Client {
 public:
  Client(const std::string& settings, bool from_callback) : settings_(settings), from_callback_(from_callback) {
    if (!wakeup_.open(false)) fail("no eventfd");
    mailbox_.set_wakeup(&wakeup_);
  }

  void connect() {
    const std::string host = field(settings_, "host");
    const std::string keyspace = field(settings_, "keyspace");
    cluster_.reset(driver.cass_cluster_new());
    driver.cass_cluster_set_contact_points_n(cluster_.get(), host.data(), host.size());
    driver.cass_cluster_set_port(cluster_.get(), std::stoi(field(settings_, "port")));
    session_ = driver.cass_session_new();
    const FutureHandle connected(driver.cass_session_connect_keyspace_n(session_, cluster_.get(), keyspace.data(), keyspace.size()));
    wait(connected.get());
  }

  void first_query() {
    const std::string text = field(settings_, "first_query");
    const StatementHandle statement(driver.cass_statement_new_n(text.data(), text.size(), 0));
    const FutureHandle future(driver.cass_session_execute(session_, statement.get()));
    wait(future.get());
    const ResultHandle result(driver.cass_future_get_result(future.get()));
    bare_driver::read_plain(result.get());
  }

  void prepare() {
    for (auto [name, prepared] : {std::pair("insert", &insert_), {"select", &select_}, {"mixed", &mixed_}, {"scan", &scan_},
                                  {"bulk_insert", &bulk_insert_}, {"bulk_select", &bulk_select_}, {"bulk_range", &bulk_range_}}) {
      const std::string text = field(settings_, name);
      const StatementHandle statement(driver.cass_statement_new_n(text.data(), text.size(), 0));
      const FutureHandle future(driver.cass_session_prepare_from_existing(session_, statement.get()));
      wait(future.get());
      prepared->reset(driver.cass_future_get_prepared(future.get()));
    }
  }

  /// Makes what an order is to write.
  void make_ready(const std::string& order) {
    if (field(order, "work") == "ingest") arrays_.resize(std::max(arrays_.ids.size(), number(order, "rows", "0")));
  }

  /// How many steps an order has: requests, or ranges that are read page by page.
  static std::size_t steps(const std::string& order) {
    const std::string work = field(order, "work");
    if (work == "ingest") return number(order, "rows", "0");
    if (work == "read") return std::max<std::size_t>(1, number(order, "splits", "0"));
    return number(order, "count", "1");
  }

  /// Runs one order; with `latencies`, notes how long each request took, in seconds. Returns the rows or else the requests done.
  std::size_t run(const std::string& order, std::size_t count, std::vector<double>* latencies) {
    work_ = field(order, "work");
    page_size_ = number(order, "page_size", "0");
    size_ = number(order, "size", "0");
    splits_ = number(order, "splits", "0");
    writes_ = work_ == "insert" || work_ == "batch" || work_ == "ingest";
    is_paged_ = work_ == "scan" || work_ == "read";
    key_range_ = work_ == "select" ? number(order, "rows", "1") : different_rows;
    rows_read_ = 0;
    started_ = 0;
    finished_ = 0;
    count_ = count;
    latencies_ = latencies;
    if (latencies_ != nullptr) latencies_->resize(count);
    const std::size_t in_flight = std::min(number(order, "in_flight", "1"), count);
    requests_.clear();
    for (std::size_t i = 0; i < in_flight; ++i) requests_.emplace_back(this);
    for (Request& request : requests_) send_next(request);
    for (bool done = false; !done;) {
      pollfd ready{wakeup_.fd(), POLLIN, 0};
      poll(&ready, 1, -1);
      wakeup_.clear();
      for (Ticket *ticket = mailbox_.take_all(), *next; ticket != nullptr; ticket = next) {
        next = ticket->next;
        if (ticket == &all_done_) {
          done = true;
        } else {
          complete(*static_cast<Request*>(ticket->owner));
        }
      }
    }
    const std::size_t expected = writes_ ? 0 : work_ == "read" ? number(order, "rows", "0") : count * number(order, "rows_each", "1");
    if (rows_read_ != expected) fail("read " + std::to_string(rows_read_) + " rows instead of " + std::to_string(expected));
    return std::max(count, expected);
  }

  void close() {
    const FutureHandle closed(driver.cass_session_close(session_));
    wait(closed.get());
    driver.cass_session_free(session_);
  }

 private:
  struct Request {
    explicit Request(Client* client) : client(client) {}
    Ticket ticket;
    Client* client;
    CassFuture* future = nullptr;
    StatementHandle page;  // the statement of a table that is read in pages
    Clock::time_point start;
  };

  static void wait(CassFuture* future) {
    if (driver.cass_future_wait_timed(future, 30'000'000) == 0) fail("no answer within 30 s");
    check(future);
  }

  StatementHandle bound_insert(std::size_t key) const {
    StatementHandle statement(driver.cass_prepared_bind(insert_.get()));
    driver.cass_statement_bind_int32(statement.get(), 0, static_cast<std::int32_t>(key));
    driver.cass_statement_bind_string_n(statement.get(), 1, payload.data(), payload.size());
    driver.cass_statement_bind_int64(statement.get(), 2, static_cast<std::int64_t>(key) << 20);
    driver.cass_statement_bind_double(statement.get(), 3, static_cast<double>(key) / 7);
    driver.cass_statement_bind_bool(statement.get(), 4, key % 2 == 0);
    return statement;
  }

  StatementHandle bound_bulk_insert(std::size_t row) const {
    StatementHandle statement(driver.cass_prepared_bind(bulk_insert_.get()));
    driver.cass_statement_bind_int32(statement.get(), 0, arrays_.ids[row]);
    driver.cass_statement_bind_string_n(statement.get(), 1, arrays_.names.data() + row * payload.size(), payload.size());
    driver.cass_statement_bind_int64(statement.get(), 2, arrays_.bigs[row]);
    driver.cass_statement_bind_double(statement.get(), 3, arrays_.ratios[row]);
    driver.cass_statement_bind_bytes(statement.get(), 4, arrays_.data.data() + row * data_size, data_size);
    return statement;
  }

  /// The table, or one of so many ranges of tokens of the same width.
  StatementHandle bound_bulk_select(std::size_t range) const {
    if (splits_ == 0) return StatementHandle(driver.cass_prepared_bind(bulk_select_.get()));
    StatementHandle statement(driver.cass_prepared_bind(bulk_range_.get()));
    const auto bound = [this](std::size_t i) {
      if (i == splits_) return std::numeric_limits<std::int64_t>::max();
      return static_cast<std::int64_t>((std::uint64_t{1} << 63) + i * (std::numeric_limits<std::uint64_t>::max() / splits_));
    };
    driver.cass_statement_bind_int64(statement.get(), 0, bound(range));
    driver.cass_statement_bind_int64(statement.get(), 1, bound(range + 1));
    return statement;
  }

  /// The next of the order's requests; nothing once all were sent.
  void send_next(Request& request) {
    const std::size_t index = started_.fetch_add(1, std::memory_order_relaxed);
    if (index >= count_) return;
    const std::size_t key = index % key_range_;
    if (latencies_ != nullptr) request.start = Clock::now();
    if (work_ == "batch") {
      const BatchHandle batch(driver.cass_batch_new(1));  // unlogged
      for (std::size_t i = 0; i < size_; ++i) driver.cass_batch_add_statement(batch.get(), bound_insert((key + i) % different_rows).get());
      watch(request, driver.cass_session_execute_batch(session_, batch.get()));
    } else if (work_ == "ingest") {
      watch(request, driver.cass_session_execute(session_, bound_bulk_insert(index).get()));
    } else if (is_paged_) {
      request.page = work_ == "scan" ? StatementHandle(driver.cass_prepared_bind(scan_.get())) : bound_bulk_select(index);
      driver.cass_statement_set_paging_size(request.page.get(), static_cast<int>(page_size_));
      watch(request, driver.cass_session_execute(session_, request.page.get()));
    } else {
      StatementHandle statement;
      if (work_ == "insert") {
        statement = bound_insert(key);
      } else {
        statement.reset(driver.cass_prepared_bind(work_ == "select" ? select_.get() : mixed_.get()));
        driver.cass_statement_bind_int32(statement.get(), 0, static_cast<std::int32_t>(work_ == "select" ? key : 0));
      }
      watch(request, driver.cass_session_execute(session_, statement.get()));
    }
  }

  void watch(Request& request, CassFuture* future) {
    request.future = future;
    if (from_callback_) {
      driver.cass_future_set_callback(future, [](CassFuture*, void* data) {
        auto* request = static_cast<Request*>(data);
        request->client->complete(*request);
      }, &request);
    } else {
      request.ticket.owner = &request;
      request.ticket.mailbox = &mailbox_;
      notify_when_set(future, &request.ticket);
    }
  }

  /// Reads an answer and sends what comes next: on the main thread, or on the driver's.
  void complete(Request& request) {
    const FutureHandle future(request.future);
    check(future.get());
    if (!writes_) {
      const ResultHandle result(driver.cass_future_get_result(future.get()));
      if (is_paged_ && driver.cass_result_has_more_pages(result.get()) != 0) {
        driver.cass_statement_set_paging_state(request.page.get(), result.get());
        // Read before the next page is asked for, or a second thread would be reading meanwhile.
        rows_read_ += read(result.get());
        watch(request, driver.cass_session_execute(session_, request.page.get()));
        return;
      }
      rows_read_ += read(result.get());
    }
    const std::size_t index = finished_.fetch_add(1, std::memory_order_acq_rel);
    if (latencies_ != nullptr) (*latencies_)[index] = seconds_since(request.start);
    if (index + 1 < count_) {
      send_next(request);
    } else {
      mailbox_.push(&all_done_);  // on whichever thread this is, the main one waits for it
    }
  }

  std::size_t read(const CassResult* result) const {
    if (work_ == "mixed") return bare_driver::read_mixed(result);
    return work_ == "read" ? bare_driver::read_bulk(result) : bare_driver::read_plain(result);
  }

  std::string settings_;
  bool from_callback_;
  Wakeup wakeup_;
  Mailbox<Ticket> mailbox_;
  Ticket all_done_;
  ClusterHandle cluster_;
  CassSession* session_ = nullptr;
  PreparedHandle insert_, select_, mixed_, scan_, bulk_insert_, bulk_select_, bulk_range_;
  BulkArrays arrays_;
  std::deque<Request> requests_;

  // The order at work.
  std::string work_;
  bool writes_ = false, is_paged_ = false;
  std::size_t page_size_ = 0, size_ = 0, splits_ = 0, key_range_ = 1, count_ = 0;
  std::atomic<std::size_t> started_{0}, finished_{0}, rows_read_{0};
  std::vector<double>* latencies_ = nullptr;
};

double quantile(std::vector<double>& sorted, double part) {
  return sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(part * static_cast<double>(sorted.size())))];
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) fail("usage: bare_driver eventfd|callback LIBRARY LIBPYTHON SETTINGS");
  // The bundled library is an extension module too: it looks for the interpreter's functions in the process.
  if (dlopen(arguments[3], RTLD_NOW | RTLD_GLOBAL) == nullptr) fail(dlerror());
  if (const std::string reason = load_driver(arguments[2]); !reason.empty()) fail(reason);
  if (const std::string missing = bare_driver::load_getters(); !missing.empty()) fail("the library lacks " + missing);
  driver.cass_log_set_level(1);  // disabled

  Client client(arguments[4], std::string(arguments[1]) == "callback");
  auto start = Clock::now();
  double cpu = process_seconds();
  client.connect();
  client.first_query();
  std::printf("{\"version\": \"C++\", \"cpu\": %.9f, \"wall\": %.9f, \"peak_kib\": %ld}\n", process_seconds() - cpu, seconds_since(start),
              peak_kib());
  std::fflush(stdout);
  client.prepare();

  const std::string server = field(arguments[4], "server_pid", "0");
  for (std::string order; std::getline(std::cin, order);) {
    client.make_ready(order);
    std::ofstream("/proc/self/clear_refs") << 5;  // the peak of memory begins anew
    const long memory = memory_kib("VmRSS:");
    const double server_before = seconds_of(server);
    start = Clock::now();
    cpu = process_seconds();
    const std::size_t units = client.run(order, Client::steps(order), nullptr);
    cpu = process_seconds() - cpu;
    const double wall = seconds_since(start);
    const double server_cpu = seconds_of(server) - server_before;
    std::vector<double> latencies;
    if (const std::size_t timed = number(order, "timed", "0"); timed > 0) {
      client.run(order, timed, &latencies);
      std::sort(latencies.begin(), latencies.end());
    }
    std::printf("{\"cpu\": %.9f, \"wall\": %.9f, \"units\": %zu", cpu, wall, units);
    const std::string work = field(order, "work");
    if (work == "ingest" || work == "read") {
      std::printf(", \"server\": %.6f, \"peak_kib\": %ld, \"grown_kib\": %ld", server_cpu, peak_kib(), peak_kib() - memory);
    }
    if (!latencies.empty()) std::printf(", \"p50\": %.9f, \"p99\": %.9f", quantile(latencies, 0.5), quantile(latencies, 0.99));
    std::printf("}\n");
    std::fflush(stdout);
  }
  client.close();
}
