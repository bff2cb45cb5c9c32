/** Electron's main process: windows, and answers for their page. resnode computes nets off its event loop. */
import { join } from 'node:path';
import { app, BrowserWindow, dialog, ipcMain } from 'electron';
import { openAnswers } from './answers.mjs';

const folder = import.meta.dirname;
const answers = openAnswers(process.env.MODEL ?? join(folder, 'model'));

ipcMain.handle('classify', async () => {
  const { filePaths } = await dialog.showOpenDialog({ properties: ['openFile', 'multiSelections'] });
  return (await answers).classify(filePaths);
});

await app.whenReady();
const window = new BrowserWindow({ webPreferences: { preload: join(folder, 'preload.cjs') } });
await window.loadFile(join(folder, 'index.html'));
app.on('window-all-closed', () => app.quit());

let closed = false;
app.on('before-quit', async (event) => {
  if (closed) return;
  event.preventDefault();
  closed = true;
  await (await answers).close();
  app.quit();
});
