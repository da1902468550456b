// A MODBUS server as one makes it with libmodbus, and a client that keeps so many connections busy with one request each.
//   modbus_peer serve PORT
//   modbus_peer load PORT CLIENTS SECONDS    prints transactions a second
#include <arpa/inet.h>
#include <modbus/modbus.h>
#include <netinet/tcp.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

constexpr uint8_t kRequest[12] = {0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1};
constexpr size_t kAnswerBytes = 11;

int serve(int port) {
    modbus_t* context = modbus_new_tcp("127.0.0.1", port);
    modbus_mapping_t* mapping = modbus_mapping_new(64, 2000, 300, 300);
    const int listener = context && mapping ? modbus_tcp_listen(context, 16) : -1;
    if (listener < 0) return 1;
    std::puts("ready");
    std::fflush(stdout);
    fd_set all;
    FD_ZERO(&all);
    FD_SET(listener, &all);
    int highest = listener;
    for (;;) {
        fd_set ready = all;
        if (select(highest + 1, &ready, nullptr, nullptr, nullptr) < 0) return 1;
        for (int at = 0; at <= highest; ++at) {
            if (!FD_ISSET(at, &ready)) continue;
            if (at == listener) {
                const int made = accept(listener, nullptr, nullptr);
                if (made < 0) continue;
                const int on = 1;
                setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                FD_SET(made, &all);
                if (made > highest) highest = made;
                continue;
            }
            uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
            modbus_set_socket(context, at);
            const int length = modbus_receive(context, query);
            if (length > 0) {
                modbus_reply(context, query, length, mapping);
            } else if (length < 0) {
                close(at);
                FD_CLR(at, &all);
            }
        }
    }
}

int load(int port, int clients, double seconds) {
    using Clock = std::chrono::steady_clock;
    std::vector<int> links;
    std::vector<size_t> got(size_t(clients), 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(uint16_t(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int highest = 0;
    for (int client = 0; client < clients; ++client) {
        const int link = socket(AF_INET, SOCK_STREAM, 0), on = 1;
        if (connect(link, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return 1;
        setsockopt(link, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (write(link, kRequest, sizeof kRequest) != sizeof kRequest) return 1;
        links.push_back(link);
        if (link > highest) highest = link;
    }
    size_t done = 0;
    const auto begun = Clock::now();
    double spent = 0;
    while ((spent = std::chrono::duration<double>(Clock::now() - begun).count()) < seconds) {
        fd_set ready;
        FD_ZERO(&ready);
        for (const int link : links) FD_SET(link, &ready);
        timeval limit{10, 0};
        if (select(highest + 1, &ready, nullptr, nullptr, &limit) <= 0) return 1;
        for (size_t client = 0; client < links.size(); ++client) {
            if (!FD_ISSET(links[client], &ready)) continue;
            uint8_t answer[kAnswerBytes];
            const ssize_t length = read(links[client], answer, kAnswerBytes - got[client]);
            if (length <= 0) return 1;
            got[client] += size_t(length);
            if (got[client] < kAnswerBytes) continue;
            got[client] = 0;
            ++done;
            if (write(links[client], kRequest, sizeof kRequest) != sizeof kRequest) return 1;
        }
    }
    std::printf("%.1f\n", double(done) / spent);
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    if (count == 3 && !std::strcmp(arguments[1], "serve")) return serve(std::atoi(arguments[2]));
    if (count == 5 && !std::strcmp(arguments[1], "load")) return load(std::atoi(arguments[2]), std::atoi(arguments[3]), std::atof(arguments[4]));
    return 2;
}
