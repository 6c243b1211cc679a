#include "smtpd/auth/pam_check.h"

#include <pwd.h>
#include <security/pam_appl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace postrider::auth {

namespace {

/// What the modules may ask for.
struct Answers {
    std::string login;
    Secret password;
};

/// The modules own and free the answers, and overwrite what is in them.
char* duplicate(const char* text) {
    return ::strdup(text);
}

int converse(int count, const pam_message** messages, pam_response** responses, void* data) {
    const auto* answers = static_cast<const Answers*>(data);
    if (count <= 0 || count > PAM_MAX_NUM_MSG) return PAM_CONV_ERR;
    auto* list =
        static_cast<pam_response*>(std::calloc(static_cast<std::size_t>(count), sizeof(pam_response)));
    if (list == nullptr) return PAM_BUF_ERR;
    for (int i = 0; i < count; ++i) {
        const int style = messages[i]->msg_style;
        if (style == PAM_PROMPT_ECHO_OFF) list[i].resp = duplicate(answers->password.c_str());
        if (style == PAM_PROMPT_ECHO_ON) list[i].resp = duplicate(answers->login.c_str());
        // Information and error texts are for people at a terminal.
    }
    *responses = list;
    return PAM_SUCCESS;
}

/// Modules ask for a pause after a failure, to slow down guessing. The reply to the client is held back
/// instead, which holds up no helper.
void no_delay(int /*result*/, unsigned /*microseconds*/, void* /*data*/) {}

bool is_system_user(const std::string& login) {
    return ::getpwnam(login.c_str()) != nullptr;
}

/// What the result means for a login. What is not listed is a fault of the system or of a module.
Verdict verdict_of(int result, const std::string& login) {
    switch (result) {
        case PAM_SUCCESS:
            return Verdict::Accepted;
        case PAM_USER_UNKNOWN:
            return Verdict::UnknownUser;
        case PAM_AUTH_ERR:
            // Most stacks hide from the client, and so from us, that there is no such user.
            return is_system_user(login) ? Verdict::Rejected : Verdict::UnknownUser;
        case PAM_PERM_DENIED:
        case PAM_MAXTRIES:
        case PAM_CRED_INSUFFICIENT:
        case PAM_ACCT_EXPIRED:
        case PAM_AUTHTOK_EXPIRED:
        case PAM_NEW_AUTHTOK_REQD:
        case PAM_CRED_EXPIRED:
            return Verdict::Rejected;
        default:
            return Verdict::Unavailable;
    }
}

}  // namespace

bool pam_service_exists(const std::string& service) {
    for (const char* folder : {"/etc/pam.d/", "/usr/lib/pam.d/"}) {
        if (::access((folder + service).c_str(), F_OK) == 0) return true;
    }
    return false;
}

PamReply check_by_pam(const PamRequest& request) {
    const std::string service(request.service);
    const std::string address(request.client_address);
    Answers answers{std::string(request.login), Secret(request.password)};
    if (!pam_service_exists(service)) return {Verdict::Unavailable, "there is no PAM service " + service};
    const pam_conv conversation{converse, &answers};
    pam_handle_t* handle = nullptr;
    int result = ::pam_start(service.c_str(), answers.login.c_str(), &conversation, &handle);
    if (result != PAM_SUCCESS) return {Verdict::Unavailable, "PAM does not start"};
    if (!address.empty()) result = ::pam_set_item(handle, PAM_RHOST, address.c_str());
    if (result == PAM_SUCCESS) {
        result = ::pam_set_item(handle, PAM_FAIL_DELAY, reinterpret_cast<const void*>(&no_delay));
    }
    if (result == PAM_SUCCESS) {
        result = ::pam_authenticate(handle, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
    }
    if (result == PAM_SUCCESS) result = ::pam_acct_mgmt(handle, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
    PamReply reply{verdict_of(result, answers.login), std::string()};
    if (result != PAM_SUCCESS) reply.reason = ::pam_strerror(handle, result);
    ::pam_end(handle, result);
    return reply;
}

}  // namespace postrider::auth
