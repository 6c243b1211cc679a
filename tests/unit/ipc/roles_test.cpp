#include "libcommon/ipc/roles.h"

#include <catch2/catch.hpp>
#include <unistd.h>

#include <vector>

using namespace postrider;
using namespace postrider::ipc;

TEST_CASE("a role is granted by uid alone") {
    RoleUsers users;
    users.smtpd = 1001;
    users.queue_manager = 1002;
    users.remote_delivery = 1003;
    struct Case {
        wire::Role role;
        uid_t uid;
        bool allowed;
    };
    const Case cases[] = {
        {wire::ROLE_SMTPD, 1001, true},
        {wire::ROLE_SMTPD, 1002, false},
        {wire::ROLE_SMTPD, 0, false},
        {wire::ROLE_QUEUE_MANAGER, 1002, true},
        {wire::ROLE_QUEUE_MANAGER, 1001, false},
        {wire::ROLE_REMOTE_DELIVERY, 1003, true},
        {wire::ROLE_REMOTE_DELIVERY, 1001, false},
        {wire::ROLE_LOCAL_DELIVERY, 0, true},
        {wire::ROLE_LOCAL_DELIVERY, 1001, false},
        {wire::ROLE_ADMIN, 0, true},
        {wire::ROLE_ADMIN, 1003, false},
        {wire::ROLE_ADMIN, 65534, false},
        {wire::ROLE_NONE, 0, false},
    };
    for (const auto& each : cases) {
        CAPTURE(each.role, each.uid);
        CHECK(may_act_as(each.role, PeerCredentials{1, each.uid, 0, {}}, users) == each.allowed);
    }
}

TEST_CASE("who may look at the queue is root, its owner, and the group of readers") {
    RoleUsers users;
    users.queue_manager = 1002;
    users.readers = 500;
    struct Case {
        uid_t uid;
        gid_t gid;
        std::vector<gid_t> groups;
        bool allowed;
    };
    for (const auto& each :
         {Case{0, 0, {}, true}, Case{1002, 1002, {}, true}, Case{2000, 500, {}, true},
          Case{2000, 2000, {1, 500, 9}, true}, Case{2000, 2000, {1, 9}, false}, Case{500, 2000, {}, false}}) {
        CAPTURE(each.uid, each.gid);
        const PeerCredentials peer{1, each.uid, each.gid, each.groups};
        CHECK(may_act_as(wire::ROLE_READER, peer, users) == each.allowed);
        CHECK(may_act_as(wire::ROLE_ADMIN, peer, users) == (each.uid == 0));
    }
    users.readers.reset();
    CHECK_FALSE(may_act_as(wire::ROLE_READER, PeerCredentials{1, 2000, 0, {0}}, users));
}

TEST_CASE("without users of their own, the daemons' one user may be everything and others nothing") {
    for (auto role :
         {wire::ROLE_SMTPD, wire::ROLE_QUEUE_MANAGER, wire::ROLE_LOCAL_DELIVERY, wire::ROLE_ADMIN}) {
        CHECK(may_act_as(role, PeerCredentials{1, ::geteuid(), 0, {}}, RoleUsers{}));
        CHECK_FALSE(may_act_as(role, PeerCredentials{1, ::geteuid() + 1, 0, {}}, RoleUsers{}));
    }
}
