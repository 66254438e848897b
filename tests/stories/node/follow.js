// Follows /events with an EventSource, and prints a line of JSON for each thing it hears: {open}, {index, kind, id}, {reset}, {error}.
// node follow.js URL
const { EventSource } = require('eventsource');

const say = (what) => console.log(JSON.stringify(what));
const events = new EventSource(process.argv[2]);
events.onopen = () => say({ open: true });
events.onmessage = ({ data, lastEventId }) => {
  const { index, kind } = JSON.parse(data);
  say({ index, kind, id: lastEventId });
};
events.addEventListener('reset', ({ data, lastEventId }) => say({ reset: JSON.parse(data), id: lastEventId }));
events.onerror = (error) => say({ error: error.code ?? 'gone' });
