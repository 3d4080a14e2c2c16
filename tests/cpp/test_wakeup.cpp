#include "wakeup.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>

#include "check.hpp"

using acsylla_like::Wakeup;

namespace {

bool is_readable(const Wakeup& wakeup) {
  pollfd descriptor{wakeup.fd(), POLLIN, 0};
  return poll(&descriptor, 1, 0) == 1;
}

void signals_and_clears(bool prefer_pipe) {
  Wakeup wakeup;
  CHECK(wakeup.fd() == -1);
  CHECK(wakeup.open(prefer_pipe));
  CHECK((fcntl(wakeup.fd(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((fcntl(wakeup.fd(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK(!is_readable(wakeup));
  wakeup.clear();  // does not block on nothing
  for (int n : {1, 2, 63, 64, 65, 128, 1000}) {
    for (int i = 0; i < n; ++i) wakeup.signal();
    CHECK(is_readable(wakeup));
    wakeup.clear();
    CHECK(!is_readable(wakeup));
  }
  const int fd = wakeup.fd();
  wakeup.close();
  wakeup.close();
  CHECK(wakeup.fd() == -1);
  CHECK(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
  wakeup.signal();  // of nobody: nothing happens
  wakeup.clear();
}

}  // namespace

CASE(an_eventfd_is_readable_from_a_signal_until_it_is_cleared) { signals_and_clears(false); }
CASE(a_pipe_is_readable_from_a_signal_until_it_is_cleared) { signals_and_clears(true); }

CASE(a_full_pipe_neither_blocks_nor_loses_the_wake_up) {
  Wakeup wakeup;
  CHECK(wakeup.open(true));
  for (int i = 0; i < 100000; ++i) wakeup.signal();
  CHECK(is_readable(wakeup));
  wakeup.clear();
  CHECK(!is_readable(wakeup));
  wakeup.signal();
  CHECK(is_readable(wakeup));
}

CASE(no_descriptor_left_is_reported) {
  rlimit before;
  CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none = before;
  none.rlim_cur = 0;
  CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
  Wakeup by_eventfd, by_pipe;
  const bool opened = by_eventfd.open(false);
  const int reason = errno;
  const bool piped = by_pipe.open(true);
  CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(!opened && reason == EMFILE && by_eventfd.fd() == -1);
  CHECK(!piped && by_pipe.fd() == -1);
}
