// Reads what the bus sends with other people's libraries. In: one JSON object on
// standard input, {events: [{headers, body}], webhooks: [{secret, headers, body}]};
// webhooks are checked first. Out: {events: [...], webhooks: [...]}, each as its library
// understood it. A failure of a library ends the program with its error.
import { HTTP } from "cloudevents";
import { Webhook } from "standardwebhooks";

let input = "";
for await (const chunk of process.stdin) input += chunk;
const { events, webhooks } = JSON.parse(input);

function event({ headers, body }) {
  const read = HTTP.toEvent({ headers, body });
  read.validate();
  return read.toJSON();
}

const out = {
  events: (events ?? []).map(event),
  webhooks: (webhooks ?? []).map((message) => {
    new Webhook(message.secret).verify(message.body, message.headers);
    return event(message);
  }),
};
process.stdout.write(JSON.stringify(out));
