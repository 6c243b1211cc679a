#pragma once

#include "admin/arguments.h"

/// The verbs that look at the queue as a whole, at one message's life, and that suspend domains. Each prints
/// what it has to say and returns the exit status.
namespace postrider::admin {

int destination_list(const config::Settings& settings, const Arguments& arguments);
int destination_show(const config::Settings& settings, const Arguments& arguments);
int queue_shape_table(const config::Settings& settings, const Arguments& arguments);
int trace_message(const config::Settings& settings, const Arguments& arguments);
int domain_list(const config::Settings& settings, const Arguments& arguments);
int domain_suspend(const config::Settings& settings, const Arguments& arguments);
int domain_resume(const config::Settings& settings, const Arguments& arguments);

}  // namespace postrider::admin
