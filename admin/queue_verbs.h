#pragma once

#include "admin/arguments.h"

/// The verbs that look at messages and change them. Each prints what it has to say and returns the exit
/// status.
namespace postrider::admin {

int queue_list(const config::Settings& settings, const Arguments& arguments);
int queue_show(const config::Settings& settings, const Arguments& arguments);
int queue_cat(const config::Settings& settings, const Arguments& arguments);
int queue_flush(const config::Settings& settings, const Arguments& arguments);
int queue_hold(const config::Settings& settings, const Arguments& arguments);
int queue_release(const config::Settings& settings, const Arguments& arguments);
int queue_fail(const config::Settings& settings, const Arguments& arguments);
int queue_delete(const config::Settings& settings, const Arguments& arguments);
int queue_reroute(const config::Settings& settings, const Arguments& arguments);

int failed_list(const config::Settings& settings, const Arguments& arguments);
int failed_requeue(const config::Settings& settings, const Arguments& arguments);
int failed_delete(const config::Settings& settings, const Arguments& arguments);

int corrupt_list(const config::Settings& settings, const Arguments& arguments);
int corrupt_show(const config::Settings& settings, const Arguments& arguments);
int corrupt_export(const config::Settings& settings, const Arguments& arguments);
int corrupt_delete(const config::Settings& settings, const Arguments& arguments);

int quarantine_list(const config::Settings& settings, const Arguments& arguments);
int quarantine_release(const config::Settings& settings, const Arguments& arguments);
int quarantine_delete(const config::Settings& settings, const Arguments& arguments);

}  // namespace postrider::admin
