#include "wakeup.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>

#ifdef __linux__
#include <sys/eventfd.h>
#endif

namespace acsylla_like {

namespace {

bool make_nonblocking(int fd) noexcept {
  return fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

}  // namespace

bool Wakeup::open(bool prefer_pipe) noexcept {
#ifdef __linux__
  if (!prefer_pipe) {
    read_fd_ = write_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return read_fd_ >= 0;
  }
#else
  (void)prefer_pipe;
#endif
  int ends[2];
  if (pipe(ends) != 0) return false;
  read_fd_ = ends[0];
  write_fd_ = ends[1];
  if (make_nonblocking(read_fd_) && make_nonblocking(write_fd_)) return true;
  close();
  return false;
}

void Wakeup::close() noexcept {
  if (write_fd_ >= 0 && write_fd_ != read_fd_) ::close(write_fd_);
  if (read_fd_ >= 0) ::close(read_fd_);
  read_fd_ = write_fd_ = -1;
}

void Wakeup::signal() noexcept {
  // An eventfd takes exactly eight bytes. A full pipe refuses, and is readable already.
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(write_fd_, &one, sizeof one);
}

void Wakeup::clear() noexcept {
  // One read empties an eventfd; a pipe holds one signal per push into an empty mailbox, so it rarely takes a second.
  std::uint64_t signals[64];
  while (read(read_fd_, signals, sizeof signals) == static_cast<ssize_t>(sizeof signals)) {
  }
}

}  // namespace acsylla_like
