#include "libcommon/ipc/roles.h"

#include <catch2/catch.hpp>
#include <unistd.h>

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
        CHECK(may_act_as(each.role, PeerCredentials{1, each.uid, 0}, users) == each.allowed);
    }
}

TEST_CASE("without users of their own, the daemons' one user may be everything and others nothing") {
    for (auto role :
         {wire::ROLE_SMTPD, wire::ROLE_QUEUE_MANAGER, wire::ROLE_LOCAL_DELIVERY, wire::ROLE_ADMIN}) {
        CHECK(may_act_as(role, PeerCredentials{1, ::geteuid(), 0}, RoleUsers{}));
        CHECK_FALSE(may_act_as(role, PeerCredentials{1, ::geteuid() + 1, 0}, RoleUsers{}));
    }
}
