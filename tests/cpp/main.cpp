#include <cstring>

#include "check.hpp"

int main(int count, char** arguments) {
  int ran = 0;
  for (const check::Case& one : check::cases()) {
    if (count > 1 && std::strstr(one.name, arguments[1]) == nullptr) continue;
    std::printf("%s\n", one.name);
    std::fflush(stdout);
    one.run();
    ++ran;
  }
  std::printf("%d passed\n", ran);
  return ran == 0;
}
