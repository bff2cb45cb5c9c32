const { contextBridge, ipcRenderer } = require('electron');

contextBridge.exposeInMainWorld('resnode', { classify: () => ipcRenderer.invoke('classify') });
