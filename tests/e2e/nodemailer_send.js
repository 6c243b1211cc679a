// Sends one message with nodemailer: node nodemailer_send.js FOLDER, where FOLDER is the unpacked package. Standard
// input is a JSON object with `transport` and `message`, as nodemailer wants them. Exit code 0 if it was taken; the
// reply of the server is printed either way.

"use strict";

const chunks = [];
process.stdin.on("data", (chunk) => chunks.push(chunk));
process.stdin.on("end", async () => {
    const { transport, message } = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    const nodemailer = require(process.argv[2]);
    try {
        const sent = await nodemailer.createTransport(transport).sendMail(message);
        console.log(sent.response);
    } catch (error) {
        console.log(error.response || String(error));
        process.exitCode = 1;
    }
});
